// Paging and filtering of the report's examples. Everything is in the page already; without this script all are shown.
"use strict";

const pagers = [...document.querySelectorAll("[data-pager]")].filter((root) => root.querySelector("[data-item]")).map(makePager);

function makePager(root) {
  const items = [...root.querySelectorAll("[data-item]")];
  const filters = [...root.querySelectorAll("[data-filter]")];
  const output = root.querySelector("output");
  let matching = items;
  let place = 0;

  function show() {
    items.forEach((item) => { item.hidden = item !== matching[place]; });
    root.querySelector(".none").hidden = matching.length > 0;
    output.textContent = matching.length ? `${place + 1} of ${matching.length}` : "0 of 0";
    root.querySelector('[data-go="-1"]').disabled = place <= 0;
    root.querySelector('[data-go="1"]').disabled = place >= matching.length - 1;
  }

  function go(by) {
    place = Math.max(0, Math.min(matching.length - 1, place + by));
    show();
  }

  function filter() {
    matching = items.filter((item) => filters.every((f) => !f.value || item.dataset[f.dataset.filter] === f.value));
    place = 0;
    show();
  }

  root.querySelectorAll("[data-go]").forEach((button) => button.addEventListener("click", () => go(Number(button.dataset.go))));
  filters.forEach((select) => select.addEventListener("change", filter));
  filter();
  return { root, go };
}

function distance(pager) {
  const box = pager.root.getBoundingClientRect();
  const middle = window.innerHeight / 2;
  return box.top <= middle && box.bottom >= middle ? 0 : Math.min(Math.abs(box.top - middle), Math.abs(box.bottom - middle));
}

document.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || !pagers.length || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("select, input, textarea, .scroll, pre")) return;
  const focused = pagers.find((pager) => pager.root.contains(document.activeElement));
  (focused || [...pagers].sort((a, b) => distance(a) - distance(b))[0]).go(by);
  event.preventDefault();
});
