// A model's text as nodes: plain text, **bold**, and formulas. Text never becomes markup.

import { formula } from "./maths.js";

// A dollar sign before an amount of money opens no formula.
const PART = new RegExp(
  [
    /\$\$(?<dollars>[\s\S]{1,2000}?)\$\$/,
    /\\\[(?<bracket>[\s\S]{1,2000}?)\\\]/,
    /(?<environment>\\begin\{(?<name>(?:align|gather|equation)\*?)\}[\s\S]{1,2000}?\\end\{\k<name>\})/,
    /\\\((?<parenthesis>[\s\S]{1,2000}?)\\\)/,
    /\$(?!\s|\d[\d,.]*\s+[a-z]{2})(?<dollar>[^$\n]{0,2000}?[^$\s\\])\$(?!\d)/,
    /(?<boxed>\\boxed\{[^{}$\n]{1,200}\})/,
    /\*\*(?<bold>[^*\n]{1,500})\*\*/,
  ].map((part) => part.source).join("|"),
  "g",
);

export function nodesOf(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(PART)) {
    nodes.push(text.slice(at, found.index), nodeOf(found));
    at = found.index + found[0].length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

function nodeOf({ 0: whole, groups }) {
  const { dollars, bracket, environment, parenthesis, dollar, boxed, bold } = groups;
  if (bold) {
    const strong = document.createElement("strong");
    strong.append(...nodesOf(bold));
    return strong;
  }
  const block = dollars ?? bracket ?? environment;
  return formula(block ?? parenthesis ?? dollar ?? boxed, block !== undefined, whole);
}
