// Drafts and doubts as one list of entries to read from top to bottom: what stands, what was doubted and why, what is new.
//
// A revision is the whole solution once more. What it shares with the draft before it is shown once; from where they
// part, the rest of the old draft is struck out and the new text follows.

import { offset } from "./trace.js";

const BLOCK = /\$\$[\s\S]{1,2000}?\$\$|\\\[[\s\S]{1,2000}?\\\]|\\begin\{(\w+\*?)\}[\s\S]{1,2000}?\\end\{\1\}/g;

// An entry: { kind, text, reason? }, of kind step, doubted, kept (doubted, but it stands), doubting (the text's own words of
// doubt), new or redone (after a doubt); { kind: dropped or untaken, texts }; { kind: votes, votes }.
export function story({ drafts, doubts, final }, running) {
  const { chain, untaken } = chained(drafts, doubts, final);
  const votes = drafts.filter((draft) => draft.kind === "vote");
  const entries = votes.length ? [{ kind: "votes", votes: running ? votes.length : votes }] : [];
  let stood = { upto: 0, decided: true };
  chain.forEach((draft, place) => {
    const marks = marksOf(draft.text, doubts.filter((doubt) => doubt.draft === draft.at));
    const from = stood.decided ? stood.upto : draft.text.length;
    stood = standing(chain, place, running, final);
    tell(entries, draft.text, marks, chain[place - 1]?.text, { from, ...stood });
  });
  return [...entries, ...untaken.map(({ text }) => ({ kind: "untaken", texts: [text] }))];
}

// How far a draft still stands beside the one after it, and whether that is known. A revision that has only repeated
// the draft so far has decided nothing yet.
function standing(chain, place, running, final) {
  const [text, after] = [chain[place].text, chain[place + 1]?.text];
  if (after === undefined) return { upto: text.length, decided: Boolean(final) };
  const repeats = running && place === chain.length - 2 && text.startsWith(after);
  return repeats ? { upto: text.length, decided: false } : { upto: shared(text, after), decided: true };
}

function tell(entries, text, marks, before, { from, upto, decided }) {
  let doubted = false;
  for (const piece of cut(text, [from, upto, ...marks.flatMap((mark) => [mark.start, mark.stop])])) {
    if (piece.start < from) continue;
    const mark = marks.find((one) => one.start <= piece.start && piece.start < one.stop);
    const fresh = before !== undefined && !before.includes(piece.text.trim());
    doubted ||= Boolean(mark?.own);
    add(entries, entryOf(piece, mark, piece.start < upto, decided, fresh ? "new" : doubted ? "redone" : "step"));
  }
}

function entryOf({ text, start }, mark, stands, decided, kind) {
  if (mark?.own) return { kind: "doubting", text };
  if (mark) return { kind: stands && decided ? "kept" : "doubted", text, reason: start === mark.start ? mark.reason : "" };
  return stands ? { kind, text } : { kind: "dropped", texts: [text] };
}

function add(entries, entry) {
  const last = entries.at(-1);
  if (entry.kind === "dropped" && last?.kind === "dropped") last.texts.push(...entry.texts);
  else entries.push(entry);
}

// The texts that follow from each other, up to the one that is the answer; of several votes the one that was doubted,
// or that won.
function chained(drafts, doubts, final) {
  const all = drafts.map((draft, at) => ({ ...draft, at }));
  const rest = all.filter((draft) => draft.kind !== "vote");
  const doubted = all.find((draft) => draft.kind === "vote" && doubts.some((doubt) => doubt.draft === draft.at));
  const won = final && all[final.final_draft]?.kind === "vote" ? all[final.final_draft] : null;
  const chain = [doubted ?? won, ...rest].filter(Boolean);
  const last = chain.findIndex((draft) => draft.at === final?.final_draft);
  return last < 0 ? { chain, untaken: [] } : { chain: chain.slice(0, last + 1), untaken: chain.slice(last + 1) };
}

// Doubts as places in the text; `own` are the text's own words, which are not struck out.
function marksOf(text, doubts) {
  return doubts.map((doubt) => ({
    start: offset(text, doubt.start),
    stop: offset(text, doubt.stop),
    reason: doubt.reason ?? "",
    own: doubt.kind !== "judged",
  }));
}

// How far two texts are the same, up to the end of a line or sentence.
function shared(one, other) {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  while (length > 0 && !(ends(one, length) && ends(other, length))) length--;
  return length;
}

function ends(text, at) {
  return at === text.length || text[at] === "\n" || text[at - 1] === "\n" || /[.!?]["')\]]?\s$/.test(text.slice(Math.max(0, at - 4), at));
}

// The text in pieces at line ends outside formulas and at `places`; pieces of white space alone are left out.
function cut(text, places) {
  const blocks = [...text.matchAll(BLOCK)].map((found) => [found.index, found.index + found[0].length]);
  const lines = [...text.matchAll(/\n/g)].map((found) => found.index + 1);
  const outside = lines.filter((at) => !blocks.some(([start, stop]) => start < at && at < stop));
  const cuts = [...new Set([0, ...places, ...outside, text.length])].sort((a, b) => a - b);
  const pieces = cuts.slice(1).map((stop, i) => ({ start: cuts[i], text: text.slice(cuts[i], stop) }));
  return pieces.filter((piece) => piece.text.trim());
}
