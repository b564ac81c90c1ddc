/* A formula wider than its column scrolls sideways; then the keyboard must reach it, as a mouse or a finger does. */
(function () {
  "use strict";
  const NAMES = ["tabindex", "role", "aria-label"];

  function mark(block) {
    const wide = block.scrollWidth > block.clientWidth + 1;
    if (wide === block.hasAttribute("tabindex")) return;
    const values = ["0", "group", "Formula, scrolls sideways"];
    NAMES.forEach((name, n) => (wide ? block.setAttribute(name, values[n]) : block.removeAttribute(name)));
  }

  const seen = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  const watch = () => document.querySelectorAll(".tex-block").forEach((block) => seen.observe(block));

  document.addEventListener("DOMContentLoaded", watch);
  document.addEventListener("eqkb-formulas", watch); // formulas that were loaded later
})();
