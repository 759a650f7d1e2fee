// The page's start: the form asks, Escape stops, and a server that wants a key gets one.

import { Answer } from "./answer.js";
import { ask, key } from "./api.js";
import { chosen, loadChoices } from "./choices.js";
import { chunks } from "./stream.js";
import { Trace } from "./trace.js";

const [form, keyForm, answers] = ["#ask", "#key", "#answers"].map((name) => document.querySelector(name));
const [question, go, stop, forget, trouble] = ["#question", "#go", "#stop", "#forget", "#trouble"].map((name) => document.querySelector(name));
let running = null;
let afterKey = load;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) askAll();
});
stop.addEventListener("click", () => running?.abort());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target === question) form.requestSubmit();
});
document.querySelector("#examples").addEventListener("click", ({ target }) => {
  if (!target.title) return;
  question.value = target.title;
  question.focus();
});
keyForm.addEventListener("submit", (event) => {
  event.preventDefault();
  key.set(keyForm.elements["key-field"].value.trim());
  keyForm.reset();
  keyForm.hidden = true;
  forget.hidden = false;
  question.focus();
  afterKey();
});
forget.addEventListener("click", () => {
  key.forget();
  forget.hidden = true;
  question.focus();
});
forget.hidden = !key.get();
load();

async function load() {
  trouble.textContent = "";
  try {
    await loadChoices();
    go.disabled = false;
  } catch (error) {
    tell(error, load);
  }
}

async function askAll() {
  const choices = chosen();
  if (!choices[0].model) return load();
  trouble.textContent = "";
  running = new AbortController();
  const panels = choices.map((choice, i) => new Answer(choice, choices.length > 1 ? `${i + 1}. ` : ""));
  answers.replaceChildren(...panels.map((panel) => panel.element));
  answers.classList.toggle("two", panels.length > 1);
  setRunning(true);
  const { signal } = running;
  const errors = await Promise.all(panels.map((panel) => fillIn(panel, question.value, signal)));
  running = null;
  setRunning(false);
  const refused = errors.find((error) => error?.status === 401);
  if (refused) wantKey(askAll);
}

async function fillIn(panel, asked, signal) {
  const trace = new Trace();
  try {
    const response = await ask(panel.choice.model, panel.choice.policy, asked, signal);
    for await (const chunk of chunks(response)) {
      trace.add(chunk);
      panel.write(trace);
    }
    panel.finish(trace, asked);
  } catch (error) {
    if (error.name === "AbortError") panel.stop(trace);
    else panel.fail(trace, error);
    return error;
  }
}

function setRunning(is) {
  if (!is && document.activeElement === stop) go.focus();
  stop.hidden = !is;
  go.setAttribute("aria-disabled", String(is));
}

function tell(error, again) {
  if (error.status === 401) return wantKey(again);
  trouble.textContent = error.message;
}

function wantKey(again) {
  afterKey = again;
  keyForm.hidden = false;
  keyForm.querySelector("h2").textContent = key.get() ? "The server does not accept this key" : "This server asks for a key";
  keyForm.elements["key-field"].focus();
}
