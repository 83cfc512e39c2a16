// What the pages of a run do beyond what they show: everything here can also be reached without it.
"use strict";
(() => {
  const run = document.querySelector(".run");
  if (!run) return;
  run.classList.add("has-js");
  for (const node of run.querySelectorAll(".needs-js")) node.hidden = false;

  // A sentence opens its detail beside it.
  const sentences = [...run.querySelectorAll("a[data-detail]")];
  const openDetail = (id) => {
    let found = false;
    for (const detail of run.querySelectorAll(".detail")) {
      const is = detail.id === id;
      detail.classList.toggle("shown", is);
      found = found || is;
    }
    for (const link of sentences) {
      if (link.dataset.detail === id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    return found;
  };
  const chosen = () => decodeURIComponent(location.hash.slice(1));
  if (sentences.length) {
    const first = sentences.find((link) => document.getElementById(link.dataset.detail));
    if (!openDetail(chosen()) && first) openDetail(first.dataset.detail);
    for (const link of sentences) {
      link.addEventListener("click", (event) => {
        if (!openDetail(link.dataset.detail)) return;
        event.preventDefault();
        history.replaceState(null, "", link.getAttribute("href"));
        const detail = document.getElementById(link.dataset.detail);
        detail.focus({ preventScroll: true });
        if (detail.getBoundingClientRect().top < 0) detail.scrollIntoView({ block: "start" });
      });
      link.addEventListener("keydown", (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
        if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        const next = sentences[(sentences.indexOf(link) + step + sentences.length) % sentences.length];
        next.focus();
        openDetail(next.dataset.detail);
      });
    }
  }

  // Places that are folded away open when something leads to them.
  const reveal = () => {
    const target = chosen() && (document.getElementById(chosen()) || run.querySelector(`[data-claim="${CSS.escape(chosen())}"]`));
    if (!target) return;
    const part = target.closest(".part");
    if (part) showPart(part.id);
    const detail = target.closest(".detail");
    if (detail) openDetail(detail.id);
    for (let node = target; node && node !== run; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
    }
    const own = target.querySelector(":scope > details");
    if (own) own.open = true;
    target.scrollIntoView({ block: "start" });
  };

  // In an exported file the pages are parts, one shown at a time.
  const parts = [...run.querySelectorAll(".part")];
  const showPart = (id) => {
    for (const part of parts) part.classList.toggle("shown", part.id === id);
    for (const link of run.querySelectorAll(".tabs a")) {
      if (link.getAttribute("href") === "#" + id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  if (parts.length) showPart(parts[0].id);
  window.addEventListener("hashchange", reveal);
  reveal();

  // Search in the tree of spans: by words and by kind, with what leads to a hit left in place.
  const query = document.getElementById("span-query");
  if (query) {
    const spans = [...run.querySelectorAll("li.span")];
    const said = new Map(spans.map((span) => {
      const own = span.querySelector(":scope > details > summary").textContent
        + [...span.querySelectorAll(":scope > details > .notes, :scope > details > .bad")].map((n) => n.textContent).join(" ");
      return [span, own.toLowerCase()];
    }));
    const search = () => {
      const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kinds = new Set([...run.querySelectorAll(".span-kind:checked")].map((box) => box.value));
      let hits = 0;
      for (const span of spans) {
        const is = kinds.has(span.dataset.kind) && words.every((word) => said.get(span).includes(word));
        span.classList.toggle("hit", is && words.length > 0);
        span.dataset.is = is ? "1" : "";
        hits += is ? 1 : 0;
      }
      for (const span of spans) {
        const within = span.dataset.is || span.querySelector('li.span[data-is="1"]');
        span.classList.toggle("missed", !within);
        if (words.length && within) span.querySelector(":scope > details").open = true;
      }
      document.getElementById("span-found").textContent = `${hits} of ${spans.length} spans`;
    };
    query.addEventListener("input", search);
    for (const box of run.querySelectorAll(".span-kind")) box.addEventListener("change", search);
    const all = (open) => () => { for (const span of spans) span.querySelector(":scope > details").open = open; };
    document.getElementById("span-open").addEventListener("click", all(true));
    document.getElementById("span-shut").addEventListener("click", all(false));
    search();
  }

  // The messages of a call are fetched when it is opened.
  for (const call of run.querySelectorAll("details.call[data-whole]")) {
    call.addEventListener("toggle", async () => {
      const address = call.dataset.whole;
      if (!call.open || !address || call.dataset.is === "loaded") return;
      call.dataset.is = "loaded";
      try {
        const answer = await fetch(address, { credentials: "same-origin" });
        if (!answer.ok) throw new Error(String(answer.status));
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const messages = page.getElementById("call-messages");
        for (const old of [...call.children]) if (old.tagName !== "SUMMARY") old.remove();
        call.append(document.importNode(messages, true));
      } catch {
        call.dataset.is = "";
      }
    });
  }

  // An element of the evidence graph shows what it is linked to.
  const graph = run.querySelector(".graph svg");
  if (graph) {
    const nodes = new Map([...graph.querySelectorAll(".node")].map((node) => [node.dataset.node, node]));
    const links = [...graph.querySelectorAll(".link[data-tail]")];
    const faint = new Set([...graph.querySelectorAll(".dim")]);
    let picked = null;
    const draw = () => {
      const kept = new Set([picked]);
      const walk = (from, to) => {
        const waiting = [picked];
        while (waiting.length) {
          const node = waiting.pop();
          for (const link of links) {
            if (link.dataset[from] === node && !kept.has(link.dataset[to])) { kept.add(link.dataset[to]); waiting.push(link.dataset[to]); }
          }
        }
      };
      if (picked) { walk("tail", "head"); walk("head", "tail"); }
      for (const [name, node] of nodes) {
        node.classList.toggle("picked", name === picked);
        node.classList.toggle("dim", picked ? !kept.has(name) : faint.has(node));
      }
      for (const link of links) link.classList.toggle("dim", picked ? !(kept.has(link.dataset.tail) && kept.has(link.dataset.head)) : faint.has(link));
    };
    for (const [name, node] of nodes) {
      node.setAttribute("tabindex", "0");
      const pick = () => { picked = picked === name ? null : name; draw(); };
      node.addEventListener("click", pick);
      node.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); } });
    }
  }

  // Switching a source off weighs at once.
  const whatIf = document.getElementById("what-if-form");
  if (whatIf) whatIf.addEventListener("change", () => {
    sessionStorage.setItem("what-if-scroll", String(whatIf.querySelector(".choices").scrollTop));
    whatIf.requestSubmit();
  });
  if (whatIf && sessionStorage.getItem("what-if-scroll")) {
    whatIf.querySelector(".choices").scrollTop = Number(sessionStorage.getItem("what-if-scroll"));
    sessionStorage.removeItem("what-if-scroll");
  }

  // Window of an image: its centre and width as levels of grey, as radiologists set them.
  const viewer = document.getElementById("viewer");
  if (viewer) {
    const centre = document.getElementById("level-centre");
    const width = document.getElementById("level-width");
    const set = () => {
      const slope = 255 / Number(width.value);
      const intercept = 0.5 - slope * Number(centre.value) / 255;
      for (const name of ["feFuncR", "feFuncG", "feFuncB"]) {
        const part = viewer.querySelector(name);
        part.setAttribute("slope", slope.toFixed(4));
        part.setAttribute("intercept", intercept.toFixed(4));
      }
      viewer.classList.add("levelled");
      document.getElementById("level-said").textContent = `${centre.value} / ${width.value}`;
    };
    centre.addEventListener("input", set);
    width.addEventListener("input", set);
    for (const box of viewer.querySelectorAll('input[name="window"]')) box.addEventListener("change", () => viewer.classList.remove("levelled"));
  }

  // A broken image says so.
  for (const image of run.querySelectorAll("img[data-broken]")) {
    const tell = () => {
      const said = document.createElement("span");
      said.className = "is-broken";
      said.textContent = image.dataset.broken;
      const frame = image.closest(".frame");
      if (frame) for (const overlay of frame.querySelectorAll(".im-overlay")) overlay.remove();
      image.replaceWith(said);
    };
    const look = () => { if (image.isConnected && image.complete && image.naturalWidth === 0) tell(); };
    look();
    image.addEventListener("error", look);
    window.addEventListener("load", look);
  }
})();
