/* Run within a page of the site: what its structure lacks, as a list of sentences, and its formulas counted. */
async () => {
  "use strict";
  const faults = [];
  const require = (holds, sentence) => holds || faults.push(sentence);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const shown = (element) => element.outerHTML.slice(0, 120);
  const isHidden = (element) => element.closest("[aria-hidden=true], [hidden], template") !== null;

  // What is folded away counts too, and what is loaded when it is unfolded.
  const loaded = new Promise((done) => document.addEventListener("eqkb-formulas", done, { once: true }));
  for (const details of all("details")) details.open = true;
  if (document.querySelector("[data-steps]")) await loaded;

  function nameOf(element) {
    const labels = (element.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean);
    const title = [...element.children].find((child) => child.localName === "title");
    const texts = [
      ...labels.map((id) => (document.getElementById(id) || { textContent: "" }).textContent),
      element.getAttribute("aria-label"),
      element.getAttribute("alt"),
      title && title.textContent,
      element.getAttribute("title"),
    ];
    return texts.filter(Boolean).join(" ").trim();
  }

  function structure() {
    require(document.title.trim(), "there is no title");
    require(document.documentElement.lang, "the language is not named");
    require(all("h1").length === 1, `there are ${all("h1").length} headings of the first level`);
    require(all("main, [role=main]").length === 1, `there are ${all("main, [role=main]").length} main parts`);
    const ids = all("[id]").map((element) => element.id);
    for (const id of new Set(ids.filter((id, n) => ids.indexOf(id) !== n))) faults.push(`the id ${id} occurs more than once`);
    let level = 0;
    for (const heading of all("main :is(h1, h2, h3, h4, h5, h6)").filter((heading) => !isHidden(heading))) {
      const own = Number(heading.localName[1]);
      require(own <= level + 1, `a level is left out above the heading ${heading.textContent.trim()}`);
      level = own;
    }
  }

  function names() {
    for (const picture of all("img, svg, [role=img], canvas"))
      if (!isHidden(picture) && !picture.parentElement.closest("svg"))
        require(nameOf(picture) || picture.getAttribute("alt") === "" || picture.getAttribute("role") === "presentation",
          `a picture without a name: ${shown(picture)}`);
    for (const control of all("button, a[href], summary, [role=button]"))
      if (!isHidden(control)) require(nameOf(control) || control.textContent.trim(), `a control without a name: ${shown(control)}`);
    for (const field of all("input:not([type=hidden]), select, textarea"))
      if (!isHidden(field))
        require(nameOf(field) || [...(field.labels || [])].some((label) => label.textContent.trim()), `a field without a name: ${shown(field)}`);
  }

  function formulas() {
    for (const formula of all(".tex")) {
      const picture = formula.querySelector(":scope > svg");
      const box = picture && picture.getBoundingClientRect();
      require(box && box.width > 0 && box.height > 0, `a formula that cannot be seen: ${shown(formula)}`);
      const spoken = formula.querySelector("math");
      require(spoken && spoken.textContent.trim(), `a formula that cannot be heard: ${shown(formula)}`);
    }
    for (const bad of all("merror, [data-mjx-error], .MathJax_Error, mjx-merror")) faults.push(`an error in a formula: ${shown(bad)}`);
    for (const use of all("use")) {
      const place = use.getAttribute("href") || use.getAttribute("xlink:href") || "";
      require(place.startsWith("#") && document.getElementById(place.slice(1)), `a glyph without an outline: ${place}`);
    }
    for (const text of all("main :is(p, li, td, h1, h2, h3)"))
      require(!/\\(?:frac|sum|mathbf|operatorname)|\$\$/.test(textOutside(text)), `TeX that is not typeset: ${shown(text)}`);
  }

  function textOutside(element) {
    const copy = element.cloneNode(true);
    for (const part of all("code, pre, .tex", copy)) part.remove();
    return copy.textContent;
  }

  structure();
  names();
  formulas();
  const article = document.querySelector("article, main") || document;
  return { faults, blocks: all(".tex-block", article).length, inline: all(".tex:not(.tex-block)", article).length };
}
