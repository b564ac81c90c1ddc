/* The map: highlights, zoom, filters and search on the picture, which is a set of links without this script. */
(function () {
  "use strict";

  const root = document.querySelector(".eqkb-map");
  if (!root) return;

  const frame = root.querySelector(".eqkb-map-frame");
  const svg = frame.querySelector("svg");
  const view = svg.querySelector(".eqkb-map-view");
  const panel = root.querySelector(".eqkb-map-panel");
  const size = { width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height };
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const READABLE = 0.75; // of the size in which the picture was drawn
  const LARGEST = 3;
  const MARGIN = 12;
  const DRAG = 5; // pixels that a hand may shake in a click
  const INTENT = 90; // milliseconds that a pointer has to rest, so that passing over names changes nothing

  /* --- the graph ------------------------------------------------------------------------------------ */

  const nodes = new Map();
  for (const element of view.querySelectorAll(".eqkb-map-node")) nodes.set(element.dataset.id, readNode(element));
  const lines = [...view.querySelectorAll(".eqkb-map-line")].map((element) => ({
    element,
    used: element.dataset.used,
    user: element.dataset.user,
  }));
  for (const line of lines) {
    nodes.get(line.used).users.push(line.user);
    nodes.get(line.user).uses.push(line.used);
  }

  function readNode(element) {
    const title = element.querySelector("title");
    const data = element.dataset;
    // the panel shows the formula, so that no tooltip has to; screen readers keep it
    element.setAttribute("aria-description", title.textContent);
    title.remove();
    const box = element.querySelector(".eqkb-map-box");
    const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(box.getAttribute(name)));
    return {
      id: data.id,
      element,
      name: element.getAttribute("aria-label"),
      formula: element.getAttribute("aria-description"),
      topic: data.topic,
      kind: data.kind,
      verdict: data.verdict,
      variants: data.variants ? data.variants.split(" ") : [],
      words: plain(element.getAttribute("aria-label") + " " + data.words),
      x: x + width / 2,
      y: y + height / 2,
      uses: [],
      users: [],
    };
  }

  function plain(text) {
    return text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase().replace(/[-_]/g, " ");
  }

  /** All that is reached from an equation along `uses` or `users`. */
  function reached(start, relation) {
    const found = new Set();
    const waiting = [start];
    while (waiting.length) {
      for (const other of nodes.get(waiting.pop())[relation]) {
        if (!found.has(other)) {
          found.add(other);
          waiting.push(other);
        }
      }
    }
    return found;
  }

  /* --- where we look -------------------------------------------------------------------------------- */

  let at = { x: 0, y: 0, k: 1 };
  let moving = 0;

  function room() {
    return { width: frame.clientWidth, height: frame.clientHeight };
  }

  function least() {
    const { width, height } = room();
    return Math.min(1, width / size.width, height / size.height);
  }

  /** Within the picture; what is smaller than the frame stands in its middle. */
  function kept(next) {
    const { width, height } = room();
    const k = Math.min(LARGEST, Math.max(least(), next.k));
    const along = (offset, frameLength, length) =>
      length + 2 * MARGIN <= frameLength
        ? (frameLength - length) / 2
        : Math.min(MARGIN, Math.max(frameLength - length - MARGIN, offset));
    return { k, x: along(next.x, width, size.width * k), y: along(next.y, height, size.height * k) };
  }

  function look(next) {
    cancelAnimationFrame(moving);
    at = kept(next);
    view.setAttribute("transform", `translate(${at.x.toFixed(2)} ${at.y.toFixed(2)}) scale(${at.k.toFixed(4)})`);
  }

  function glide(next) {
    const from = at;
    const to = kept(next);
    if (calm.matches) return look(to);
    const begin = performance.now();
    const step = (now) => {
      const part = Math.min(1, Math.max(0, (now - begin) / 260));
      const eased = 1 - (1 - part) ** 3;
      const mix = (name) => from[name] + (to[name] - from[name]) * eased;
      look({ x: mix("x"), y: mix("y"), k: mix("k") });
      if (part < 1) moving = requestAnimationFrame(step);
    };
    cancelAnimationFrame(moving);
    moving = requestAnimationFrame(step);
  }

  /** Larger or smaller, with the point under the pointer, or the middle, where it is. */
  function zoomed(factor, x = room().width / 2, y = room().height / 2) {
    const k = Math.min(LARGEST, Math.max(least(), at.k * factor));
    return { k, x: x - ((x - at.x) * k) / at.k, y: y - ((y - at.y) * k) / at.k };
  }

  function centred(node, k = at.k) {
    const { width, height } = room();
    return { k, x: width / 2 - node.x * k, y: height / 2 - node.y * k };
  }

  function inView(node) {
    const { width, height } = room();
    const x = node.x * at.k + at.x;
    const y = node.y * at.k + at.y;
    return x > 90 * at.k && x < width - 90 * at.k && y > 30 && y < height - 30;
  }

  /** As wide as the frame if that can be read, and else around what is used most. */
  function home() {
    const wide = (room().width - 2 * MARGIN) / size.width;
    if (wide >= READABLE) return { k: Math.min(1.15, wide), x: 0, y: MARGIN };
    const hub = [...nodes.values()].reduce((a, b) => (b.users.length > a.users.length ? b : a));
    const { width } = room();
    return { ...centred(hub, READABLE), x: width * 0.3 - hub.x * READABLE };
  }

  const zooms = {
    in: () => glide(zoomed(1.4)),
    out: () => glide(zoomed(1 / 1.4)),
    home: () => glide(home()),
    all: () => glide({ x: 0, y: 0, k: 0 }),
  };

  /** The frame is no higher than the picture needs, and leaves some of the page to be seen. */
  function fit() {
    const k = Math.min(1.15, Math.max(READABLE, (frame.clientWidth - 2 * MARGIN) / size.width));
    frame.style.height = `min(${Math.ceil(size.height * k + 2 * MARGIN)}px, 80svh)`;
  }

  /* --- what is lit ---------------------------------------------------------------------------------- */

  let lit = null; // the id that is highlighted
  let told = null; // the id in the panel
  let pinned = false; // whether it stays when the pointer leaves

  function light(id, pin) {
    clearTimeout(intent);
    pinned = pin;
    if (id === lit) return;
    lit = id;
    for (const name of ["is-self", "is-near", "is-far", "is-variant"]) {
      for (const element of view.querySelectorAll(`.${name}`)) element.classList.remove(name);
    }
    svg.classList.toggle("is-lit", id !== null);
    if (id !== null) {
      mark(id);
      tell(id);
    }
  }

  function mark(id) {
    const node = nodes.get(id);
    const before = reached(id, "uses");
    const after = reached(id, "users");
    node.element.classList.add("is-self");
    for (const other of [...before, ...after]) {
      const near = node.uses.includes(other) || node.users.includes(other);
      nodes.get(other).element.classList.add(near ? "is-near" : "is-far");
    }
    for (const other of node.variants) nodes.get(other).element.classList.add("is-variant");
    const within = (set, other) => other === id || set.has(other);
    const front = [];
    for (const line of lines) {
      const onWay = (within(before, line.used) && within(before, line.user)) ||
        (within(after, line.used) && within(after, line.user));
      if (!onWay) continue;
      const near = line.used === id || line.user === id;
      line.element.classList.add(near ? "is-near" : "is-far");
      if (near) front.push(line.element);
    }
    for (const element of front) element.parentNode.append(element); // what is drawn last is above
  }

  /* --- the panel ------------------------------------------------------------------------------------ */

  function made(tag, className, ...content) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...content);
    return element;
  }

  function tell(id) {
    if (id === told && !panel.hidden) return;
    told = id;
    const node = nodes.get(id);
    const open = made("a", "eqkb-map-open", "Open the page");
    open.href = node.element.getAttribute("href");
    const close = made("button", "eqkb-map-close", "×");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => clear(true));
    const topic = root.querySelector(`.eqkb-map-topics [data-topic="${CSS.escape(node.topic)}"]`).textContent;
    panel.className = `eqkb-map-panel ${hueOf(node.element)}`;
    panel.replaceChildren(
      close,
      made("p", "eqkb-map-name", node.name),
      made("p", "eqkb-map-facts", `${topic} · ${node.kind} · ${node.verdict}`),
      made("pre", "eqkb-map-formula", node.formula),
      ...related("Uses", node.uses),
      ...related("Used by", node.users),
      ...related("Variants", node.variants),
      open,
    );
    panel.hidden = false;
  }

  function hueOf(element) {
    return [...element.classList].find((name) => name.startsWith("eqkb-hue-"));
  }

  function related(word, ids) {
    if (!ids.length) return [];
    const line = made("p", "eqkb-map-related", made("span", "", `${word} `));
    for (const id of ids) {
      const button = made("button", "", nodes.get(id).name);
      button.type = "button";
      button.addEventListener("click", () => go(id));
      line.append(button);
    }
    return [line];
  }

  function clear(withPanel) {
    const inside = panel.contains(document.activeElement);
    const from = told;
    light(null, false);
    if (!withPanel) return;
    panel.hidden = true;
    told = null;
    if (inside) nodes.get(from).element.focus({ preventScroll: true });
  }

  /** To an equation: it is in view, lit, and has the focus. */
  function go(id) {
    const node = nodes.get(id);
    light(id, true);
    node.element.focus({ preventScroll: true });
    if (!inView(node) || at.k < READABLE) glide(centred(node, Math.max(at.k, READABLE)));
  }

  /* --- pointers ------------------------------------------------------------------------------------- */

  const pointers = new Map();
  let dragged = false;
  let intent = 0;
  let touch = false;

  function place(event) {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  function nodeOf(event) {
    const element = event.target instanceof Element && event.target.closest(".eqkb-map-node");
    return element ? nodes.get(element.dataset.id) : null;
  }

  function press(event) {
    touch = event.pointerType === "touch";
    if (event.button > 0) return;
    cancelAnimationFrame(moving);
    if (!pointers.size) dragged = false;
    pointers.set(event.pointerId, place(event));
  }

  function drag(event) {
    const before = pointers.get(event.pointerId);
    if (!before) return point(event);
    const now = place(event);
    if (!dragged && pointers.size === 1 && Math.hypot(now.x - before.x, now.y - before.y) < DRAG) return;
    if (!dragged) {
      dragged = true;
      frame.classList.add("is-dragged");
    }
    if (!frame.hasPointerCapture(event.pointerId)) frame.setPointerCapture(event.pointerId);
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, other]) => other);
    pointers.set(event.pointerId, now);
    if (others.length) return pinch(before, now, others[0]);
    look({ k: at.k, x: at.x + now.x - before.x, y: at.y + now.y - before.y });
  }

  function pinch(before, now, other) {
    const factor = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
    const next = zoomed(factor, (before.x + other.x) / 2, (before.y + other.y) / 2);
    look({ ...next, x: next.x + (now.x - before.x) / 2, y: next.y + (now.y - before.y) / 2 });
  }

  function release(event) {
    pointers.delete(event.pointerId);
    if (!pointers.size) frame.classList.remove("is-dragged");
  }

  function point(event) {
    if (touch || pinned) return;
    const node = nodeOf(event);
    if ((node ? node.id : null) === lit) return clearTimeout(intent);
    clearTimeout(intent);
    intent = setTimeout(() => (node ? light(node.id, false) : clear(false)), node ? INTENT : 3 * INTENT);
  }

  /** A click opens the page; a tap, which points at nothing before, shows the panel first. */
  function click(event) {
    const node = nodeOf(event);
    if (dragged) {
      event.preventDefault();
      dragged = false;
    } else if (!node) {
      clear(true);
    } else if (touch && lit !== node.id) {
      event.preventDefault();
      light(node.id, true);
    }
  }

  /** The wheel moves the map as it moves a page, and moves the page at the map's ends; with Ctrl it zooms. */
  function wheel(event) {
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? room().height : 1;
    const before = at;
    if (event.ctrlKey || event.metaKey) {
      const { x, y } = place(event);
      look(zoomed(Math.exp(-Math.max(-60, Math.min(60, event.deltaY * unit)) * 0.008), x, y));
      event.preventDefault();
      return;
    }
    const [dx, dy] = event.shiftKey && !event.deltaX ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
    look({ k: at.k, x: at.x - dx * unit, y: at.y - dy * unit });
    if (before.x !== at.x || before.y !== at.y) event.preventDefault();
  }

  function listenToPointers() {
    frame.addEventListener("pointerdown", press);
    frame.addEventListener("pointermove", drag);
    frame.addEventListener("pointerup", release);
    frame.addEventListener("pointercancel", release);
    frame.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "touch" || pointers.has(event.pointerId) || pinned) return;
      clearTimeout(intent);
      intent = setTimeout(() => clear(false), 3 * INTENT);
    });
    panel.addEventListener("pointerenter", () => {
      clearTimeout(intent);
      if (told && !lit) light(told, false);
    });
    frame.addEventListener("click", click);
    frame.addEventListener("dragstart", (event) => event.preventDefault());
    frame.addEventListener("wheel", wheel, { passive: false });
  }

  /* --- keys ----------------------------------------------------------------------------------------- */

  const STEP = 90;
  const keys = {
    "+": zooms.in,
    "=": zooms.in,
    "-": zooms.out,
    0: zooms.home,
    1: zooms.all,
    ArrowLeft: () => glide({ ...at, x: at.x + STEP }),
    ArrowRight: () => glide({ ...at, x: at.x - STEP }),
    ArrowUp: () => glide({ ...at, y: at.y + STEP }),
    ArrowDown: () => glide({ ...at, y: at.y - STEP }),
    " ": () => panel.querySelector(".eqkb-map-related button, .eqkb-map-open")?.focus(),
    "/": () => root.querySelector(".eqkb-map-find input").focus(),
  };

  function listenToKeys() {
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return clear(true);
      const onMap = frame.contains(event.target);
      if (!onMap || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
      event.preventDefault();
      event.stopPropagation(); // the page has keys of its own
      keys[event.key]();
    });
    frame.addEventListener("focusin", (event) => {
      const node = nodeOf(event);
      if (!node || !node.element.matches(":focus-visible")) return;
      light(node.id, true);
      if (!inView(node)) glide(centred(node));
    });
    frame.addEventListener("focusout", () => (pinned = false));
  }

  /* --- topics --------------------------------------------------------------------------------------- */

  function listenToTopics() {
    const buttons = [...root.querySelectorAll(".eqkb-map-topics button")];
    const show = () => {
      const chosen = new Set(buttons.filter((b) => b.ariaPressed === "true").map((b) => b.dataset.topic));
      const isOut = (topic) => chosen.size > 0 && !chosen.has(topic);
      for (const element of view.querySelectorAll("[data-topic]")) {
        element.classList.toggle("is-out", isOut(element.dataset.topic));
      }
      const beside = new Set();
      for (const { element, used, user } of lines) {
        const out = isOut(nodes.get(used).topic) && isOut(nodes.get(user).topic);
        element.classList.toggle("is-out", out);
        if (!out) beside.add(used).add(user);
      }
      for (const node of nodes.values()) node.element.classList.toggle("is-beside", beside.has(node.id));
    };
    for (const button of buttons) {
      button.addEventListener("click", () => {
        button.ariaPressed = String(button.ariaPressed !== "true");
        show();
        const first = [...nodes.values()].find((node) => node.topic === button.dataset.topic);
        if (button.ariaPressed === "true" && !inView(first)) glide({ ...centred(first), x: at.x });
      });
    }
  }

  /* --- search --------------------------------------------------------------------------------------- */

  /** The better the match, the smaller: what begins with the words comes before what has them somewhere. */
  function rank(node, words) {
    const name = plain(node.name);
    const whole = words.join(" ");
    return (name === whole ? 0 : name.startsWith(whole) ? 1 : name.includes(whole) ? 2 : 3) * 1000 + name.length;
  }

  function listenToSearch() {
    const form = root.querySelector(".eqkb-map-find");
    const input = form.querySelector("input");
    const output = form.querySelector("output");
    let matches = [];
    const show = () => {
      const words = plain(input.value).split(/\s+/).filter(Boolean);
      const all = words.length ? [...nodes.values()].filter((n) => words.every((w) => n.words.includes(w))) : [];
      matches = all.sort((a, b) => rank(a, words) - rank(b, words));
      svg.classList.toggle("is-searched", matches.length > 0);
      for (const node of nodes.values()) node.element.classList.toggle("is-match", matches.includes(node));
      output.textContent = !words.length ? "" : matches.length ? `${matches.length} found` : "nothing found";
      if (matches.length && !matches.some(inView)) glide(centred(matches[0]));
    };
    input.addEventListener("input", show);
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !input.value) return;
      input.value = "";
      show();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!matches.length) return;
      const { id } = matches[0];
      input.value = "";
      svg.classList.remove("is-searched");
      output.textContent = "";
      go(id);
    });
  }

  /* --- begin ---------------------------------------------------------------------------------------- */

  function begin() {
    root.classList.add("is-live");
    for (const selector of [".eqkb-map-tools", ".eqkb-map-help"]) root.querySelector(selector).hidden = false;
    for (const name of ["viewBox", "width", "height"]) svg.removeAttribute(name);
    for (const button of root.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => zooms[button.dataset.zoom]());
    }
    listenToPointers();
    listenToKeys();
    listenToTopics();
    listenToSearch();
    fit();
    look(home());
    let width = frame.clientWidth;
    new ResizeObserver(() => {
      if (frame.clientWidth === width) return look(at);
      width = frame.clientWidth;
      fit();
      look(home());
    }).observe(frame);
    const wanted = () => {
      const id = location.hash.replace(/^#at-/, "");
      if (location.hash.startsWith("#at-") && nodes.has(id)) go(id);
    };
    window.addEventListener("hashchange", wanted);
    wanted();
  }

  if (nodes.size) begin();
})();
