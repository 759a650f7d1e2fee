// What can be done with a whole answer: say whether it is right, and take it along as JSON.

import { sendVerdict } from "./api.js";

export function offerAfter(part, choice, trace, question) {
  part.after.hidden = false;
  part.copy.addEventListener("click", () => copy(part, { question, ...choice, model: choice.model.id, ...trace.json }));
  if (!choice.model.self_correction?.feedback) return;
  part.verdicts.hidden = false;
  const send = (verdict, comment) => give(part, choice.model, { request_id: trace.id, verdict, ...(comment && { comment }) });
  part.verdicts.addEventListener("click", ({ target }) => {
    if (target.dataset.verdict === "right") send("right");
    if (target.dataset.verdict === "wrong") askWhy(part.comment);
  });
  part.comment.addEventListener("submit", (event) => {
    event.preventDefault();
    send("wrong", part.comment.elements.comment.value.trim());
  });
}

function askWhy(form) {
  form.hidden = false;
  form.elements.comment.focus();
}

async function give(part, model, verdict) {
  try {
    await sendVerdict(model, verdict);
    part.said.textContent = "Thank you, that was noted.";
    part.said.tabIndex = -1;
    part.said.focus();
    part.verdicts.hidden = part.comment.hidden = true;
  } catch (error) {
    part.said.textContent = `Not noted. ${error.message}`;
  }
}

// A page that was not fetched over a safe connection may not write to the clipboard: it shows what to copy.
async function copy(part, answer) {
  const text = JSON.stringify(answer, null, 2);
  try {
    await navigator.clipboard.writeText(text);
    part.said.textContent = "Copied.";
  } catch {
    part.json.value = text;
    part.json.hidden = false;
    part.json.select();
    part.said.textContent = "Press Ctrl and C to copy.";
  }
}
