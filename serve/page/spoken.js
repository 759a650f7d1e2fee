// What a screen reader is told while an answer is written: whole steps, and how it ended.

const KEPT = 40;
const log = document.querySelector("#spoken");

export function say(text) {
  const line = document.createElement("p");
  line.textContent = text;
  log.append(line);
  if (log.children.length > KEPT) log.firstChild.remove();
}
