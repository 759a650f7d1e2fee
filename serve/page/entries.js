// The entries of a story as list items; only those that changed are made again.

import { nodesOf } from "./text.js";

const TAGS = { doubted: "doubted", kept: "doubted, but kept", doubting: "doubts itself", new: "new", redone: "after the doubt" };
const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

// The last step that stands and has the answer in it.
export function markAnswer(entries, answer) {
  const last = entries.findLast((entry) => ["step", "new", "redone", "kept"].includes(entry.kind));
  if (last && answer && last.text.includes(answer)) last.answer = true;
}

// Focus and selection stay where nothing changed.
export function redraw(list, entries, running) {
  entries.forEach((entry, i) => {
    const growing = running && i === entries.length - 1;
    const tag = entries[i - 1]?.kind === entry.kind ? "" : TAGS[entry.kind];
    const mark = JSON.stringify([entry, tag, growing]);
    const old = list.children[i];
    if (old?.mark === mark) return;
    const item = Object.assign(itemOf(entry, tag, growing), { mark });
    if (old) old.replaceWith(item);
    else list.append(item);
  });
  while (list.children.length > entries.length) list.lastChild.remove();
}

function itemOf(entry, tag, growing) {
  const item = element("li", entry.answer ? `${entry.kind} answer-step` : entry.kind);
  if (entry.kind === "votes") item.append(votes(entry.votes));
  else if (entry.texts) item.append(struck(entry));
  else item.append(...stepOf(entry, tag, growing));
  return item;
}

function stepOf({ kind, text, reason, answer }, tag, growing) {
  const words = element({ doubted: "del", new: "ins", redone: "ins" }[kind] ?? "span", "words");
  words.append(...(growing ? [text.trimEnd()] : nodesOf(text.trim())));
  const what = element("div", "what");
  const tags = [tag, answer && "answer"].filter(Boolean).join(", ");
  if (tags) what.append(element("span", "tag", tags));
  what.append(words);
  if (!reason) return [what];
  const why = element("p", "why");
  why.append(...nodesOf(reason));
  return [what, why];
}

function struck({ kind, texts }) {
  const more = folded(kind === "untaken" ? "a revision that was not taken" : `${plural(texts.length, "step")} that followed from it`);
  for (const text of texts) {
    const line = element("del", "words");
    line.append(...nodesOf(text.trim()));
    more.append(line);
  }
  return more;
}

function votes(given) {
  if (typeof given === "number") return element("span", "quiet", `${plural(given, "solution")} so far`);
  const counts = new Map();
  for (const { answer } of given) counts.set(answer ?? "none", (counts.get(answer ?? "none") ?? 0) + 1);
  const more = folded(`${given.length} solutions: ${[...counts].map(([answer, count]) => `${answer} (${count})`).join(", ")}`);
  for (const { answer, text } of given) {
    const one = element("div", "vote");
    one.append(element("strong", "", `${answer ?? "none"}: `), ...nodesOf(text.trim()));
    more.append(one);
  }
  return more;
}

function folded(title) {
  const details = element("details", "");
  details.append(element("summary", "", title));
  return details;
}

export function element(name, kind, text = "") {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
  return made;
}
