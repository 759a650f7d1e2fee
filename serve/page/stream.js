// Server-sent events as they arrive: the JSON object of each, until `[DONE]`.

import { Refused } from "./api.js";

const BROKEN = "The connection was lost: this answer is not whole.";

export async function* chunks(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const events = rest.split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) {
      const data = dataOf(event);
      if (data === "[DONE]") return;
      if (data) yield checked(data);
    }
    const { value, done } = await more(reader);
    if (done) throw new Refused(BROKEN);
    rest += value;
  }
}

async function more(reader) {
  try {
    return await reader.read();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refused(BROKEN);
  }
}

function dataOf(event) {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
}

function checked(data) {
  const chunk = JSON.parse(data);
  if (chunk.error) throw new Refused(`The server broke off: ${chunk.error.message} This answer is not whole.`, chunk.error.code);
  return chunk;
}
