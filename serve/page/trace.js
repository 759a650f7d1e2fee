// What the server has said so far about one answer: texts, doubts, and at the end the whole account.

export class Trace {
  id = null;
  content = "";
  texts = [];
  doubts = [];
  final = null;
  usage = null;
  finish = null;

  add(chunk) {
    this.id ??= chunk.id;
    this.content += chunk.choices?.[0]?.delta?.content ?? "";
    this.finish = chunk.choices?.[0]?.finish_reason ?? this.finish;
    this.usage = chunk.usage ?? this.usage;
    const { event, ...said } = chunk.self_correction ?? {};
    if (event === "draft") this.texts[said.draft] = { kind: said.kind, text: "" };
    else if (event === "piece") this.texts[said.draft].text += said.text;
    else if (event === "doubt") this.doubts.push(said);
    else if (event === "final") this.settle(said);
  }

  // The account at the end is what counts, should it differ from what was streamed.
  settle(said) {
    this.final = said;
    this.texts = said.drafts.map((draft) => ({ ...draft }));
    this.doubts = said.doubts;
  }

  // Policies that write once stream that text as content, without pieces.
  get drafts() {
    if (this.texts.some((draft) => draft.text)) return this.texts;
    return [{ kind: "draft", ...this.texts[0], text: this.content }];
  }

  get json() {
    const { id, content, usage, finish } = this;
    return { id, content, finish_reason: finish, usage, self_correction: this.final };
  }
}

// The server counts characters, JavaScript counts halves of some of them.
export function offset(text, characters) {
  let at = 0;
  for (const character of text) {
    if (characters-- <= 0) break;
    at += character.length;
  }
  return at;
}
