// Keeps the list of runs fresh while it is looked at, and the runs chosen for a comparison chosen. Without it the page works as it is.
(() => {
  "use strict";
  const list = document.querySelector(".list");
  if (!list) return;
  let position = Number(list.dataset.position || 0);
  const EVERY = 2000;

  const chosen = () => [...document.querySelectorAll('input[name="run"]:checked')].map((box) => box.value);
  const enable = () => {
    const button = document.querySelector("[data-compare]");
    if (button) button.disabled = chosen().length < 2 || chosen().length > 6;
  };
  document.addEventListener("change", enable);
  enable();

  const replace = (fresh, selector) => {
    const mine = document.querySelector(selector);
    const theirs = fresh.querySelector(selector);
    if (mine && theirs) mine.replaceWith(theirs);
  };
  const refresh = async () => {
    const kept = new Set(chosen());
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const had = document.querySelector("[data-rows]");
    if (!had && fresh.querySelector("[data-rows]")) { location.reload(); return; }
    replace(fresh, "[data-rows]");
    if (!document.activeElement || !document.activeElement.closest(".facets")) replace(fresh, ".facets");
    replace(fresh, ".runs .above p");
    for (const box of document.querySelectorAll('input[name="run"]')) box.checked = kept.has(box.value);
    enable();
  };
  const look = async () => {
    try {
      if (!document.hidden) {
        const answer = await fetch("/live?position=" + position, { headers: { Accept: "application/json" } });
        if (answer.ok) {
          const told = await answer.json();
          if (told.changed.length) { position = told.position; await refresh(); }
        }
      }
    } catch (error) {
      // the server is gone; the page stays as it is and asks again
    }
    setTimeout(look, EVERY);
  };
  setTimeout(look, EVERY);
})();
