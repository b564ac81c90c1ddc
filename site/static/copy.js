/* Copying: a menu on every formula, a button on every block of code.

   What a formula is copied as comes with a script for each entry, copies/ID.js. It is loaded when a menu of the page is
   opened for the first time, as a script since a page read from disk may fetch nothing else. */
(() => {
  "use strict";

  const eqkb = (window.eqkb = window.eqkb || {});
  const NAMES = { latex: "LaTeX", numpy: "NumPy", json: "JSON", bibtex: "BibTeX" };
  const SHOWN_FOR = 2000; // milliseconds that a button shows that it has copied
  const loaded = new Map(); // what the scripts of entries brought, by entry

  // --- the texts ---------------------------------------------------------------------------------

  /* Called by copies/ID.js. */
  eqkb.copies = (entry, found) => loaded.set(entry, found);

  /* A list of numbers as its text: places of pieces, or -1 - place for a piece within a string of JSON. */
  eqkb.copyText = (pieces, places) =>
    places.map((n) => (n < 0 ? JSON.stringify(pieces[-1 - n]).slice(1, -1) : pieces[n])).join("");

  function load(entry) {
    if (!entry || loaded.has(entry)) return Promise.resolve(loaded.get(entry));
    return new Promise((resolve) => {
      const script = document.createElement("script");
      script.src = `${document.documentElement.dataset.content_root || ""}copies/${encodeURIComponent(entry)}.js`;
      script.onload = script.onerror = () => {
        script.remove();
        resolve(loaded.get(entry));
      };
      document.head.append(script);
    });
  }

  /* The items of the menu of a formula: a name, a remark in small letters, and the text. */
  async function itemsOf(figure) {
    const found = await load(figure.dataset.entry);
    const formats = (found && found.formulas[figure.id]) || {};
    const items = Object.entries(formats).map(([format, [command, places]]) => ({
      name: NAMES[format] || format,
      remark: command,
      text: eqkb.copyText(found.pieces, places),
    }));
    return [...items, permalink(figure.id)];
  }

  function permalink(anchor) {
    const text = `${location.href.split(/[?#]/)[0]}#${encodeURIComponent(anchor)}`;
    return { name: "Permalink", remark: `#${anchor}`, text };
  }

  // --- the clipboard -----------------------------------------------------------------------------

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyBySelection(text); // read from disk, or not allowed
    }
  }

  function copyBySelection(text) {
    const before = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.readOnly = true;
    area.className = "copy-hidden";
    document.body.append(area);
    area.select();
    let done = false;
    try {
      done = document.execCommand("copy");
    } catch {
      done = false;
    }
    area.remove();
    if (before) before.focus({ preventScroll: true });
    return done;
  }

  /* For those who listen: what has happened. */
  let voice = null;
  function say(message) {
    if (!voice) {
      voice = element("div", { class: "copy-hidden", role: "status", "aria-live": "polite" });
      document.body.append(voice);
    }
    voice.textContent = "";
    setTimeout(() => (voice.textContent = message), 50); // the same message twice is read twice
  }

  async function copyFrom(button, name, text) {
    const done = await copy(text);
    const state = done ? "copied" : "failed";
    say(done ? `${name} copied` : `${name} could not be copied`);
    button.dataset.state = state;
    button.dataset.said = done ? `${name} copied` : "not copied";
    clearTimeout(button.copyTimer);
    button.copyTimer = setTimeout(() => delete button.dataset.state, SHOWN_FOR);
  }

  // --- the menu ----------------------------------------------------------------------------------

  let open = null; // the open menu, its button and its items
  let count = 0; // of ids

  async function openMenu(button, last = false) {
    closeMenu();
    const figure = button.closest("figure.formula");
    const opening = (open = { button, menu: null, items: [] });
    button.setAttribute("aria-expanded", "true");
    const items = await itemsOf(figure);
    if (open !== opening) return; // closed, or another one opened, while the texts were loaded
    open.menu = element("ul", { class: "copy-menu", role: "menu", "aria-label": "Copy as" });
    open.items = items.map((item) => addItem(open.menu, item));
    button.after(open.menu);
    focusItem(last ? -1 : 0);
    open.menu.scrollIntoView({ block: "nearest" });
  }

  function addItem(menu, { name, remark, text }) {
    const id = `copy-${++count}`;
    const item = element("button", { type: "button", role: "menuitem", tabindex: "-1" });
    item.setAttribute("aria-labelledby", `${id}-name`);
    item.setAttribute("aria-describedby", `${id}-remark`);
    item.append(element("span", { class: "copy-name", id: `${id}-name` }, name));
    item.append(remarkOf(remark, `${id}-remark`));
    item.addEventListener("click", () => {
      const { button } = open;
      closeMenu(true);
      copyFrom(button, name, text);
    });
    const row = element("li", { role: "none" });
    row.append(item);
    menu.append(row);
    return item;
  }

  /* The words apart, so that a line does not break within an option. */
  function remarkOf(text, id) {
    const made = element("code", { class: "copy-remark", id });
    for (const word of text.split(" ")) made.append(element("span", {}, word), " ");
    return made;
  }

  function closeMenu(focusButton = false) {
    if (!open) return;
    const { button, menu } = open;
    open = null;
    button.setAttribute("aria-expanded", "false");
    if (focusButton) button.focus({ preventScroll: true });
    if (menu) menu.remove();
  }

  function focusItem(place) {
    const count = open.items.length;
    open.items[(place + count) % count].focus();
  }

  function onMenuKey(event) {
    const place = open.items.indexOf(document.activeElement);
    const moves = {
      ArrowDown: () => focusItem(place + 1),
      ArrowUp: () => focusItem(Math.max(place, 0) - 1),
      Home: () => focusItem(0),
      End: () => focusItem(-1),
      Escape: () => closeMenu(true),
    };
    if (event.key === "Tab") {
      closeMenu(true); // and the browser goes on from the button
    } else if (moves[event.key]) {
      event.preventDefault();
      event.stopPropagation();
      moves[event.key]();
    } else if (event.key.length === 1 && /\S/.test(event.key) && !(event.ctrlKey || event.metaKey || event.altKey)) {
      event.preventDefault();
      event.stopPropagation(); // a letter may be a short cut of the page
      focusLetter(event.key.toLowerCase(), place);
    }
  }

  /* The next item, after the one with the focus, whose name begins with the letter. */
  function focusLetter(letter, place) {
    const all = [...open.items.slice(place + 1), ...open.items.slice(0, place + 1)];
    const found = all.find((item) => item.textContent.toLowerCase().startsWith(letter));
    if (found) found.focus();
  }

  function onKey(event) {
    if (open && open.menu && open.menu.contains(event.target)) {
      onMenuKey(event);
      return;
    }
    const button = event.target.closest && event.target.closest("button.copy-open");
    if (button && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      openMenu(button, event.key === "ArrowUp");
    } else if (event.key === "Escape" && open) {
      closeMenu(true);
    }
  }

  function onClick(event) {
    const button = event.target.closest("button.copy-open");
    if (!button) return;
    if (open && open.button === button) closeMenu(true);
    else openMenu(button);
  }

  /* A press outside of the menu closes it; the button's own click does so by itself. */
  function onPress(event) {
    if (!open || open.button.contains(event.target)) return;
    if (!open.menu || !open.menu.contains(event.target)) closeMenu();
  }

  function onFocus(event) {
    if (open && open.menu && !open.menu.contains(event.target) && event.target !== open.button) closeMenu();
  }

  // --- code --------------------------------------------------------------------------------------

  /* Of a session only what was typed, without the prompts. */
  function codeOf(block) {
    const text = block.querySelector("pre").textContent;
    if (!block.querySelector(".gp")) return text;
    const typed = text.split("\n").map((line) => /^(?:\$|>>>|\.\.\.)(?: (.*))?$/.exec(line));
    return typed.filter(Boolean).map((match) => `${match[1] || ""}\n`).join("");
  }

  function addCodeButton(block) {
    if (!block.querySelector("pre") || block.querySelector(".copy-code")) return;
    const label = "Copy this code";
    const button = element("button", { class: "copy-code", type: "button", "aria-label": label, title: label });
    button.addEventListener("click", () => copyFrom(button, "Code", codeOf(block)));
    block.append(button);
  }

  // --- the page ----------------------------------------------------------------------------------

  function element(name, attributes, text = "") {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  }

  /* A link may lead to what is folded away. */
  function unfoldTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && target.closest("details:not([open])");
    if (!folded) return;
    folded.open = true;
    target.scrollIntoView();
  }

  function start() {
    document.documentElement.classList.add("can-copy"); // without this script the buttons stay hidden
    document.querySelectorAll("div.highlight").forEach(addCodeButton);
    document.addEventListener("click", onClick);
    document.addEventListener("keydown", onKey);
    document.addEventListener("pointerdown", onPress);
    document.addEventListener("focusin", onFocus);
    window.addEventListener("hashchange", unfoldTarget);
    unfoldTarget();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
