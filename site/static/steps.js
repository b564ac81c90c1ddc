/* Derivations of a heavy page stand in a script beside it, loaded when the first of them is opened. */
(function () {
  "use strict";
  const eqkb = (window.eqkb = window.eqkb || {});

  function load(place) {
    const source = new URL(place.dataset.steps, location.href).href;
    if (document.querySelector(`script[src="${CSS.escape(source)}"]`)) return;
    const script = document.createElement("script");
    script.src = source;
    script.onerror = () => script.remove(); // so that opening it again tries again
    document.head.append(script);
  }

  /** Called by the script with the content of every derivation, in the order of the page. */
  eqkb.steps = function (parts) {
    for (const place of document.querySelectorAll("[data-steps]")) {
      place.innerHTML = parts[Number(place.dataset.part)];
      delete place.dataset.steps;
    }
    document.dispatchEvent(new CustomEvent("eqkb-formulas"));
  };

  document.addEventListener("toggle", (event) => {
    const place = event.target.open && event.target.querySelector("[data-steps]");
    if (place) load(place);
  }, true);
})();
