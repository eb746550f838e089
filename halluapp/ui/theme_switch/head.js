"use strict";
// Light or dark: what was chosen on this page, else what the address says (?__theme=dark), else what was chosen in this
// browser before, else the system, which gradio follows by itself. gradio keeps the theme as a class of the body and
// sets it anew when it mounts and when the system changes; the observer puts the choice back.
(() => {
  const KEY = "halluapp-theme", THEMES = ["light", "dark"];
  const known = (theme) => (THEMES.includes(theme) ? theme : null);
  const system = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  let choice = known(new URLSearchParams(location.search).get("__theme")) || stored();

  function stored() {
    try { return known(localStorage.getItem(KEY)); } catch { return null; } // storage may be forbidden
  }

  // The system's own theme needs no memory: from then on the page follows the system again.
  function store(theme) {
    try {
      if (theme === system()) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch { /* remembered on this page only */ }
  }

  function apply() {
    if (choice && document.body.classList.contains("dark") !== (choice === "dark")) {
      document.body.classList.toggle("dark", choice === "dark");
    }
  }

  function press() {
    const theme = document.body.classList.contains("dark") ? "light" : "dark";
    store(theme);
    choice = theme === system() ? null : theme;
    document.body.classList.toggle("dark", theme === "dark");
  }

  function start() {
    apply();
    new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    document.addEventListener("click", (event) => { if (event.target.closest(".theme-switch")) press(); });
  }

  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
