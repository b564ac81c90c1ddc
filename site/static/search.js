/* Finding an equation: a dialog on every page ("/", Ctrl+K, Cmd+K), and the same as the page search.html, with
   filters whose state is in its address. What it searches in is loaded when it is first opened. */
(function () {
  "use strict";
  const eqkb = (window.eqkb = window.eqkb || {});
  const ROOT = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const SCRIPTS = ["_static/search-words.js", "_static/search-lists.js", "_static/search-engine.js", "search-index.js"];
  const IN_DIALOG = 12;
  const ON_PAGE = 40;
  const PLACEHOLDER = "Name, symbol, TeX, function";
  const MARKS = { verified: "✓", refuted: "✗", unknown: "?", "not checked": "–" };

  const address = (path) => new URL(path, ROOT).href;
  const plural = (count) => `${count} ${count === 1 ? "equation" : "equations"}`;
  const fresh = ((last) => () => `eqkb-search-${++last}`)(0);

  /** An element; text is never read as HTML. */
  function element(tag, properties, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.flat());
    return made;
  }

  // --- the index -------------------------------------------------------------------------------------

  let loading = null;

  /** The index, ready to be searched; the scripts are fetched in the order in which they need each other. */
  function load() {
    loading = loading || SCRIPTS.reduce((before, path) => before.then(() => fetched(path)), Promise.resolve())
      .then(() => eqkb.lists.prepare(eqkb.searchIndex));
    loading.catch(() => (loading = null));
    return loading;
  }

  function fetched(path) {
    return new Promise((done, failed) =>
      document.head.append(element("script", { src: address(path), onload: done, onerror: () => failed(new Error(path)) })));
  }

  // --- filters ---------------------------------------------------------------------------------------

  /** By what entries are filtered: of each entry the values that it has, and how a value is called. */
  function facetsOf(index) {
    const { topics, kinds, verdicts, features } = index.data;
    const titles = new Map(topics);
    const libraries = (entry) => [...new Set(entry.functions.map((written) => written.split(" ")[0]))];
    return [
      { key: "topic", title: "Topic", of: (e) => [topics[e.topic][0]], label: (name) => titles.get(name) },
      { key: "kind", title: "Kind", of: (e) => [kinds[e.kind]] },
      { key: "evidence", title: "Evidence", of: (e) => [verdicts[e.verdict]] },
      { key: "has", title: "Has", of: (e) => e.features.map((n) => features[n]) },
      { key: "library", title: "Function of", of: libraries },
    ];
  }

  const passes = (facet, chosen, entry) => !chosen.size || facet.of(entry).some((value) => chosen.has(value));

  /** Of every value of a filter how many of the hits have it that pass all other filters. */
  function countsOf(facet, facets, chosen, hits) {
    const others = facets.filter((other) => other !== facet);
    const counts = new Map();
    for (const { entry } of hits)
      if (others.every((other) => passes(other, chosen[other.key], entry)))
        for (const value of facet.of(entry)) counts.set(value, (counts.get(value) || 0) + 1);
    return counts;
  }

  // --- one result ------------------------------------------------------------------------------------

  const withMarks = (text, terms) =>
    eqkb.words.marked(text, terms).map(([part, matches]) => (matches ? element("mark", {}, part) : part));

  /** Another name or a function of a library that matches where the name itself does not. */
  function alias(entry, terms) {
    const paths = entry.functions.map((written) => written.split(" ")[1]);
    const matching = (text) => eqkb.words.marked(text, terms).some(([, matches]) => matches);
    if (matching(entry.name)) return [];
    const found = [...entry.aliases, ...paths].find(matching);
    return found ? [" · ", element("span", { class: "eqkb-hit-alias" }, withMarks(found, terms))] : [];
  }

  /** What the entry states, or the claim in which a fragment was found, in plain text. */
  function formulaOf({ entry, formula }) {
    const claim = formula + ((formula + 1) % 2); // of a claim's two forms the one to be read
    return entry.formulas[formula >= 3 ? claim : entry.shown].replace(/\n/g, ";  ");
  }

  function option(index, hit, terms, id) {
    const { entry } = hit;
    const { topics, kinds, verdicts } = index.data;
    const verdict = verdicts[entry.verdict];
    const badge = { class: `eqkb-hit-badge evidence-${verdict.replace(" ", "-")}` };
    return element(
      "a",
      { class: "eqkb-hit", role: "option", id, href: address(`equations/${entry.id}.html`), tabindex: "-1", "aria-selected": "false" },
      element("span", { class: "eqkb-hit-name" }, withMarks(entry.name, terms)),
      element("span", badge, element("span", { "aria-hidden": "true" }, `${MARKS[verdict]} `), verdict),
      element("span", { class: "eqkb-hit-about" }, `${topics[entry.topic][1]} · ${kinds[entry.kind]}`, alias(entry, terms)),
      element("span", { class: "eqkb-hit-formula" }, formulaOf(hit)),
    );
  }

  // --- the field and its results ---------------------------------------------------------------------

  /** Field, number of results, results. ``limit`` are shown at first; ``found`` says which; ``changed`` hears of it. */
  function finder({ limit, found, changed, label }) {
    const list = element("div", { class: "eqkb-hits", role: "listbox", id: fresh(), "aria-label": "Equations" });
    const status = element("p", { class: "eqkb-search-status", role: "status" });
    const more = element("div", { class: "eqkb-search-more" });
    const input = element("input", {
      class: "eqkb-search-input", type: "text", inputmode: "search", enterkeyhint: "go", role: "combobox",
      "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id, "aria-label": label,
      placeholder: PLACEHOLDER, autocomplete: "off", autocapitalize: "off", autocorrect: "off", spellcheck: "false",
    });
    const self = { input, list, status, more, active: -1, update, show, text: () => input.value.trim() };

    function update() {
      load().then(
        (index) => show(found(index, self.text()), limit),
        () => status.replaceChildren("The index of the search cannot be read. ", allEquations("All equations")),
      );
    }

    function show(result, count) {
      const { index, hits, terms, said } = result;
      list.hidden = !hits.length;
      list.replaceChildren(...hits.slice(0, count).map((hit, n) => option(index, hit, terms, `${list.id}-${n}`)));
      input.setAttribute("aria-expanded", String(hits.length > 0));
      status.replaceChildren(...said);
      const rest = () => show(result, hits.length);
      more.replaceChildren(...(hits.length > count ? [element("button", { type: "button", class: "eqkb-search-all", onclick: rest }, `Show all ${hits.length}`)] : []));
      select(self.text() && hits.length ? 0 : -1);
      if (changed) changed(result);
    }

    function select(n) {
      const options = list.children;
      if (options[self.active]) options[self.active].setAttribute("aria-selected", "false");
      self.active = n;
      if (!options[n]) return input.removeAttribute("aria-activedescendant");
      options[n].setAttribute("aria-selected", "true");
      input.setAttribute("aria-activedescendant", options[n].id);
    }

    function move(step) {
      const count = list.children.length;
      if (!count) return;
      select(self.active < 0 ? (step > 0 ? 0 : count - 1) : (self.active + step + count) % count);
      list.children[self.active].scrollIntoView({ block: "nearest" });
    }

    input.addEventListener("input", update);
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) move(step);
      else if (event.key === "Enter" && list.children[self.active]) follow(list.children[self.active], event);
      else return;
      event.preventDefault();
    });
    return self;
  }

  /** As a click would, with the same keys held: Ctrl or Cmd opens another tab. */
  function follow(link, { ctrlKey, metaKey, shiftKey }) {
    link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, view: window, ctrlKey, metaKey, shiftKey }));
  }

  const allEquations = (text) => element("a", { href: address("equations/index.html") }, text);

  /** What a query finds; nothing typed finds everything where ``all`` is wanted. Where nothing ``isFound``, the hits
      are what comes near. ``said`` stands above them. */
  function answer(index, text, all) {
    if (!text) {
      const hits = all ? index.entries.map((entry) => ({ entry })) : [];
      return { index, hits, terms: [], said: [], isFound: true };
    }
    const { hits, terms } = eqkb.engine.search(index, text, { typing: true });
    if (hits.length) return { index, hits, terms, said: [plural(hits.length)], isFound: true };
    const near = text.includes(" ") ? eqkb.engine.partly(index, text) : [];
    const said = [`Nothing is like “${text}”. `, ...(near.length ? ["Some of it is in:"] : [allEquations("All equations by topic")])];
    return { index, hits: near.map((entry) => ({ entry })), terms: [], said, isFound: false };
  }

  // --- the dialog ------------------------------------------------------------------------------------

  let dialog = null;

  function openDialog() {
    dialog = dialog || makeDialog();
    if (dialog.element.open) return;
    dialog.element.showModal();
    dialog.input.select();
    dialog.update();
  }

  function makeDialog() {
    const topics = element("nav", { class: "eqkb-search-topics", "aria-label": "Topics" });
    const everything = element("a", { href: address("search.html") });
    const self = finder({
      limit: IN_DIALOG,
      label: "Search the equations",
      found: (index, text) => answer(index, text, false),
      changed: ({ index, hits, isFound }) => {
        const text = self.text();
        everything.textContent = text && isFound && hits.length > IN_DIALOG ? `All ${hits.length}, with filters` : "Search with filters";
        everything.href = address(`search.html${text ? `?q=${encodeURIComponent(text)}` : ""}`);
        topics.hidden = text !== "";
        if (!topics.childElementCount) topics.append(...topicLinks(index));
      },
    });
    const close = () => self.element.close();
    const button = element("button", { type: "button", class: "eqkb-search-close", onclick: close, "aria-label": "Close" }, element("kbd", {}, "Esc"), element("span", {}, "✕"));
    self.element = element(
      "dialog",
      { class: "eqkb-search eqkb-search-dialog", "aria-label": "Search the equations" },
      element("div", { class: "eqkb-search-field" }, icon(), self.input, button),
      self.status,
      topics,
      element("div", { class: "eqkb-search-results" }, self.list),
      element("div", { class: "eqkb-search-foot" }, keys(), everything),
    );
    self.element.addEventListener("click", (event) => {
      if (event.target === self.element || (event.target.closest("a") && !event.ctrlKey && !event.metaKey)) close();
    });
    document.body.append(self.element);
    return self;
  }

  function topicLinks(index) {
    const counts = new Map();
    for (const { topic } of index.entries) counts.set(topic, (counts.get(topic) || 0) + 1);
    return index.data.topics.map(([name, title], n) =>
      element("a", { href: address(`search.html?topic=${encodeURIComponent(name)}`) }, title, " ", element("span", {}, String(counts.get(n)))));
  }

  function keys() {
    const shown = [["↑ ↓", "choose"], ["Enter", "open"], ["Ctrl Enter", "in a new tab"]];
    return element("p", { class: "eqkb-search-keys" }, shown.map(([key, does]) => element("span", {}, element("kbd", {}, key), ` ${does}`)));
  }

  function icon() {
    const space = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(space, "svg");
    const path = document.createElementNS(space, "path");
    for (const [name, value] of [["viewBox", "0 0 16 16"], ["class", "eqkb-search-icon"], ["aria-hidden", "true"]])
      picture.setAttribute(name, value);
    path.setAttribute("d", "M7 1.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11m4 9.5 4 4");
    picture.append(path);
    return picture;
  }

  // --- the page --------------------------------------------------------------------------------------

  function makePage(mount) {
    const title = element("summary", {}, "Filters");
    const filters = element("details", { class: "eqkb-filters" }, title);
    const place = element("div", { class: "eqkb-facets" });
    filters.append(place);
    let facets = null;
    const chosen = {};
    const given = new URLSearchParams(location.search);
    const self = finder({
      limit: ON_PAGE,
      label: "Search the equations",
      found: (index, text) => {
        if (!facets) begin(index);
        const all = answer(index, text, true);
        for (const facet of facets) facet.show(countsOf(facet, facets, chosen, all.isFound ? all.hits : []));
        if (!all.isFound) return all;
        const hits = all.hits.filter(({ entry }) => facets.every((facet) => passes(facet, chosen[facet.key], entry)));
        return { ...all, hits, said: saidOf(hits.length, index.entries.length) };
      },
      changed: remember,
    });

    function begin(index) {
      facets = facetsOf(index);
      for (const facet of facets) {
        chosen[facet.key] = new Set(given.getAll(facet.key));
        place.append(...facetFields(facet, index, chosen[facet.key], self.update));
      }
    }

    function saidOf(count, total) {
      const many = facets.reduce((sum, facet) => sum + chosen[facet.key].size, 0);
      const words = count === total ? `All ${plural(total)}` : `${count} of ${plural(total)}`;
      title.textContent = many ? `Filters (${many})` : "Filters";
      return many ? [`${words} `, element("button", { type: "button", class: "eqkb-search-clear", onclick: clear }, "Clear filters")] : [words];
    }

    function clear() {
      for (const facet of facets) chosen[facet.key].clear();
      self.update();
      self.input.focus();
    }

    /** The address says what is shown, so that it can be kept and sent. */
    function remember() {
      const state = new URLSearchParams();
      if (self.text()) state.set("q", self.text());
      for (const facet of facets) for (const value of chosen[facet.key]) state.append(facet.key, value);
      const query = state.toString();
      try {
        history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}`);
      } catch {
        // Some browsers keep the addresses of files as they are.
      }
    }

    self.input.value = given.get("q") || "";
    mount.classList.add("eqkb-search", "eqkb-search-page");
    mount.append(
      element("div", { class: "eqkb-search-field" }, icon(), self.input),
      filters,
      element("div", { class: "eqkb-search-results" }, self.status, self.list, self.more),
    );
    openWhereThereIsRoom(filters);
    if (matchMedia("(hover: hover)").matches) self.input.focus({ preventScroll: true });
    self.update();
    return self;
  }

  /** The boxes of a filter; only what some entry has is offered. */
  function facetFields(facet, index, chosen, update) {
    const values = [...countsOf(facet, [], {}, index.entries.map((entry) => ({ entry }))).keys()];
    const rows = new Map();
    for (const value of values) {
      const box = element("input", { type: "checkbox", name: facet.key, value });
      const count = element("span", { class: "eqkb-facet-count" });
      box.addEventListener("change", () => {
        if (box.checked) chosen.add(value);
        else chosen.delete(value);
        update();
      });
      rows.set(value, { box, count, row: element("label", {}, box, element("span", {}, facet.label ? facet.label(value) : value), count) });
    }
    facet.show = (counts) => rows.forEach(({ box, count, row }, value) => {
      box.checked = chosen.has(value);
      count.textContent = String(counts.get(value) || 0);
      row.classList.toggle("eqkb-facet-none", !counts.get(value) && !box.checked);
    });
    const legend = element("legend", {}, facet.title);
    return values.length ? [element("fieldset", {}, legend, [...rows.values()].map(({ row }) => row))] : [];
  }

  function openWhereThereIsRoom(filters) {
    const wide = matchMedia("(min-width: 60rem)");
    const follow = () => (filters.open = wide.matches);
    wide.addEventListener("change", follow);
    follow();
  }

  // --- keys ------------------------------------------------------------------------------------------

  const isWriting = (target) => target instanceof Element && target.closest("input, textarea, select, [contenteditable]");

  function wantsSearch(event) {
    if (event.altKey || event.shiftKey) return false;
    if (event.key === "/") return !event.ctrlKey && !event.metaKey && !isWriting(event.target);
    return event.key.toLowerCase() === "k" && event.ctrlKey !== event.metaKey;
  }

  let page = null;

  function open() {
    if (page) page.input.select();
    else openDialog();
  }

  // At the window and first, since the theme listens for the same keys.
  window.addEventListener("keydown", (event) => {
    if (event.key && wantsSearch(event)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      open();
    }
  }, true);

  function start() {
    const mount = document.getElementById("eqkb-search-page");
    if (mount) page = makePage(mount);
    for (const button of document.querySelectorAll(".eqkb-search-open")) {
      button.addEventListener("click", open);
      button.addEventListener("pointerenter", load, { once: true });
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
