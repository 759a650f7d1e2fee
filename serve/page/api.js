// The server: its models, a streamed answer, a verdict, formulas. Every failure becomes a `Refused` with words for a person.

const HOME = new URL(".", document.baseURI);
const KEY = "api key";

export class Refused extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

// The models served here, and those of the siblings that this server names; a sibling that does not answer is left out.
export async function models() {
  const { data, siblings } = await listed();
  const prefixes = [...new Set(Object.values(siblings ?? {}))];
  const others = await Promise.all(prefixes.map((prefix) => listed(prefix).catch(() => ({ data: [] }))));
  return [...data, ...others.flatMap((other, i) => other.data.map((model) => ({ ...model, route_prefix: prefixes[i] })))];
}

async function listed(prefix) {
  return (await call("v1/models", { prefix })).json();
}

export function ask(model, policy, question, signal) {
  const body = {
    model: model.id,
    messages: [{ role: "user", content: question }],
    stream: true,
    stream_options: { include_usage: true },
  };
  if (policy) body.self_correction = { policy, return: "final" };
  return call("v1/chat/completions", { body, signal, prefix: model.route_prefix });
}

export function sendVerdict(model, verdict) {
  return call("v1/feedback", { body: verdict, prefix: model.route_prefix });
}

export async function typeset(formulas) {
  return (await (await call("page/math", { body: { formulas } })).json()).trees;
}

async function call(path, { body, signal, prefix } = {}) {
  const headers = key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(address(path, prefix), { method: body ? "POST" : "GET", body: JSON.stringify(body), headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(`The server at ${location.host} cannot be reached.`);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

// A model of the same server may live under another route; a name of another host is no route.
function address(path, prefix) {
  const beside = typeof prefix === "string" && prefix.startsWith("/");
  return beside ? location.origin + prefix.replace(/\/*$/, "/") + path : new URL(path, HOME);
}

async function refusal(response) {
  const said = await response.json().catch(() => ({}));
  const words = typeof said.error?.message === "string" ? said.error.message : `It gave no reason (HTTP ${response.status}).`;
  return new Refused(explain(response, words), response.status);
}

function explain(response, words) {
  const { status } = response;
  if (status === 401) return key.get() ? `The server does not accept this key. ${words}` : `The server asks for a key. ${words}`;
  if (status === 429 || status === 503) return `${status === 429 ? "That was too much at once." : "The server is busy."} ${words} ${when(response)}`;
  if (status < 500) return `The server refuses this: ${words}`;
  const id = response.headers.get("x-request-id");
  return `The server failed: ${words}${id ? ` Its log has this request as ${id}.` : ""}`;
}

// `Retry-After` is a number of seconds or a date.
function when(response) {
  const given = response.headers.get("retry-after");
  const seconds = /^\d+$/.test(given ?? "") ? Number(given) : Math.ceil((Date.parse(given) - Date.now()) / 1000);
  if (!(seconds >= 0)) return "Try again in a while.";
  const time = new Date(Date.now() + seconds * 1000).toLocaleTimeString();
  return `Try again in ${seconds} s, at ${time}.`;
}
