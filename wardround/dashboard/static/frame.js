// Light or dark, as chosen; and keys: "/" searches, "g r" goes to the runs, "g e" to the evaluation, "g v" to the review.
(() => {
  "use strict";
  const root = document.documentElement;
  const chosen = localStorage.getItem("wardround-theme");
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  const button = document.querySelector("[data-theme-toggle]");
  if (button) {
    button.addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      localStorage.setItem("wardround-theme", root.dataset.theme);
    });
  }
  let before = "";
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement ? document.activeElement.tagName : "");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.querySelector('input[type="search"]');
    if (event.key === "/" && search) { event.preventDefault(); search.focus(); }
    if (before === "g" && event.key === "r") location.assign("/");
    if (before === "g" && event.key === "e") location.assign("/evaluation");
    if (before === "g" && event.key === "v") location.assign("/review");
    before = event.key;
  });
})();
