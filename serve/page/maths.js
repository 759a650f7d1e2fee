// Formulas: their source at once, typeset when the server has answered; it is asked for many at a time, once for each.

import { typeset } from "./api.js";

const MATHML = "http://www.w3.org/1998/Math/MathML";
const ELEMENTS = new Set(
  ("math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mmultiscripts" +
    " mprescripts mtable mtr mtd mstyle mpadded mphantom merror").split(" "),
);
const ATTRIBUTES = new Set(
  ("display displaystyle scriptlevel stretchy fence form accent accentunder movablelimits largeop mathvariant" +
    " linethickness columnalign separator symmetric").split(" "),
);
const LENGTHS = new Set(["width", "lspace", "rspace", "minsize", "maxsize"]);
const SMALL = /^(?:\d?(?:\.\d+)?|-0?\.\d+)(?:em|ex|px)$/;
const AT_ONCE = 64;
const LONGEST = 2000;

const trees = new Map();
let waiting = new Map();

export function formula(tex, block, source) {
  const span = document.createElement("span");
  span.className = block ? "formula block" : "formula";
  span.textContent = source;
  if (tex.length <= LONGEST) enter(span, tex.trim(), block);
  return span;
}

function enter(span, tex, block) {
  const name = JSON.stringify({ tex, block });
  if (trees.has(name)) return draw(span, trees.get(name), tex);
  if (!waiting.size) setTimeout(fetchWaiting);
  waiting.set(name, [...(waiting.get(name) ?? []), { span, tex }]);
}

async function fetchWaiting() {
  const all = [...waiting];
  waiting = new Map();
  for (let at = 0; at < all.length; at += AT_ONCE) await fetchSome(all.slice(at, at + AT_ONCE));
}

// Without the server's answer the source stays, which can be read as well.
async function fetchSome(some) {
  const found = await typeset(some.map(([name]) => JSON.parse(name))).catch(() => []);
  some.forEach(([name, places], i) => {
    if (found[i] === undefined) return;
    trees.set(name, found[i]);
    places.forEach(({ span, tex }) => draw(span, found[i], tex));
  });
}

function draw(span, tree, tex) {
  if (!tree) return;
  const math = build(tree);
  math.setAttribute("alttext", tex);
  span.replaceChildren(math);
}

// Only elements and attributes that can do nothing but show; an unknown element is its contents in a row.
export function build(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const [name, attributes, children] = node;
  const element = document.createElementNS(MATHML, ELEMENTS.has(name) ? name : "mrow");
  for (const [attribute, value] of Object.entries(attributes)) {
    if (ATTRIBUTES.has(attribute) || (LENGTHS.has(attribute) && SMALL.test(value))) element.setAttribute(attribute, value);
  }
  if (name === "menclose") element.setAttribute("class", attributes.notation === "box" ? "boxed" : "struck");
  element.append(...children.map(build));
  return element;
}
