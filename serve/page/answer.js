// One answer on the page: its story as it is written, then its result, its figures and what can be done with it.

import { offerAfter } from "./after.js";
import { element, markAnswer, redraw } from "./entries.js";
import { say } from "./spoken.js";
import { story } from "./story.js";
import { nodesOf } from "./text.js";

const SPOKEN = { step: "Step", doubted: "Doubted step", kept: "Doubted, but kept", doubting: "Doubt", new: "New step", redone: "Step after the doubt" };
const STOPS = {
  no_doubt: "no step was doubted",
  doubted: "it doubted itself and went on",
  revised: "the doubted step was revised",
  agreed: "the solutions agree",
  below_threshold: "too little doubt for a revision",
  max_revisions: "the limit on revisions was reached",
  max_tokens: "the limit on tokens was reached",
  timeout: "the time limit was reached",
  refused: "the model refused a request",
  unreadable_reply: "the correction could not be read, so the solution before it stands",
};

export class Answer {
  constructor(choice, speaker) {
    const copy = document.querySelector("#answer").content.cloneNode(true);
    this.element = copy.querySelector("article");
    this.part = Object.fromEntries([...copy.querySelectorAll("[data-part]")].map((node) => [node.dataset.part, node]));
    this.choice = choice;
    this.speaker = speaker;
    this.spoken = new Set();
    this.started = performance.now();
    this.element.querySelector("h2").append(choice.model.id, element("small", "", choice.policy ?? ""));
    this.element.setAttribute("aria-label", `${choice.model.id} ${choice.policy ?? ""}`.trim());
    this.become("waiting", "Waiting for the first word");
  }

  become(state, words) {
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", String(state === "waiting" || state === "writing"));
    this.part.state.textContent = words;
  }

  write(trace) {
    if (!trace.drafts.some((draft) => draft.text)) return;
    this.latest = trace;
    this.become("writing", stageOf(trace));
    this.frame ??= requestAnimationFrame(() => this.draw(this.latest, true));
  }

  draw(trace, running) {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    const entries = story(trace, running);
    if (!running) markAnswer(entries, trace.final?.final_answer);
    redraw(this.part.story, entries, running);
    this.speak(entries, running);
  }

  // Whole entries are read out, never words.
  speak(entries, running) {
    const whole = running ? entries.slice(0, -1) : entries;
    for (const { kind, text, reason } of whole.filter((entry) => SPOKEN[entry.kind])) {
      const line = `${SPOKEN[kind]}: ${text.trim()}${reason ? ` Reason: ${reason}` : ""}`;
      if (!this.spoken.has(line)) say(this.speaker + line);
      this.spoken.add(line);
    }
  }

  finish(trace, question) {
    this.draw(trace, false);
    const cut = trace.finish === "length";
    const seconds = trace.final?.seconds ?? (performance.now() - this.started) / 1000;
    this.become(cut ? "failed" : "done", cut ? "Cut off at the limit on tokens: not whole" : `Done in ${seconds.toFixed(1)} s`);
    this.part.facts.textContent = facts(trace).join(" · ");
    if (trace.final) this.showResult(trace.final);
    offerAfter(this.part, this.choice, trace, question);
  }

  showResult({ first_answer: first, final_answer: last }) {
    const rows = [["Answer", last ?? "none was recognised", "last"]];
    if (first !== last) rows.push(["First answer", first ?? "none", "first"]);
    this.part.result.replaceChildren(...rows.map(([name, value, kind]) => pair(name, value, kind)));
    this.part.result.hidden = false;
    say(`${this.speaker}${rows.map(([name, value]) => `${name}: ${value}`).join(". ")}.`);
  }

  stop(trace) {
    this.draw(trace, false);
    this.become("stopped", "Stopped by you: not whole");
    say(`${this.speaker}Stopped.`);
  }

  fail(trace, error) {
    this.draw(trace, false);
    this.become("failed", "Failed");
    this.part.trouble.textContent = error.message;
  }
}

function stageOf({ drafts, doubts }) {
  if (drafts.at(-1).kind === "revision") return "Writing it anew";
  return doubts.some((doubt) => doubt.kind === "judged") ? "Doubting a step" : "Writing";
}

function facts({ final, usage, finish }) {
  const tokens = final ? final.prompt_tokens + final.completion_tokens : usage?.total_tokens;
  const all = [];
  if (tokens !== undefined) all.push(`${tokens} tokens${final?.extra_tokens ? `, ${final.extra_tokens} of them to correct itself` : ""}`);
  if (final?.revisions) all.push(`${final.revisions} revision${final.revisions > 1 ? "s" : ""}`);
  if (typeof final?.probability_wrong === "number") all.push(`thought wrong with probability ${final.probability_wrong.toFixed(2)}`);
  const reason = final ? (STOPS[final.stop_reason] ?? final.stop_reason) : finish === "length" ? STOPS.max_tokens : null;
  if (reason) all.push(`ended because ${reason}`);
  return all;
}

function pair(name, value, kind) {
  const row = element("div", kind);
  const shown = element("dd", "");
  shown.append(...nodesOf(value));
  row.append(element("dt", "", name), shown);
  return row;
}
