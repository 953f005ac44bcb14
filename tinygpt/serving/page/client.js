// The server's API, as this page uses it.

export class ApiError extends Error {
  constructor(status, message, code = null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// Whatever the server answers; an error as an ApiError with its words.
export async function ask(path, key, options = {}) {
  const headers = { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const reply = await fetch(path, { ...options, headers });
  if (reply.ok) return reply;
  const body = await reply.json().catch(() => null);
  const said = body?.error?.message ?? `The server answered ${reply.status}.`;
  throw new ApiError(reply.status, said, body?.error?.code);
}

export async function models(key) {
  return (await (await ask("/v1/models", key)).json()).data;
}

// The events of a stream, whatever the network made of its bytes: a character is whole once its
// last byte is here, an event once the empty line behind it is.
export async function* events(chunks) {
  const decoder = new TextDecoder();
  let held = "";
  for await (const chunk of chunks) {
    held += decoder.decode(chunk, { stream: true });
    const parts = held.split("\n\n");
    held = parts.pop();
    for (const part of parts) {
      if (part.startsWith("data: ")) yield part.slice(6);
    }
  }
}

export async function* chunksOf(body) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

// Messages without the oldest so many, but for what is told first.
export function remembered(messages, forgot) {
  const oldest = messages[0].role === "system" ? 1 : 0;
  return [...messages.slice(0, oldest), ...messages.slice(oldest + forgot)];
}

// The beginning of an answer. What a model cannot remember it is not told: the oldest messages are
// left out until the rest fits. forgot: how many that were.
async function open(request, key, signal) {
  for (let forgot = 0; ; forgot++) {
    const messages = remembered(request.messages, forgot);
    try {
      const body = JSON.stringify({ ...request, messages, stream: true, logprobs: true });
      const reply = await ask("/v1/chat/completions", key, { method: "POST", body, signal });
      return { reply, forgot };
    } catch (error) {
      const least = messages[0].role === "system" ? 2 : 1;
      if (error.code !== "context_length_exceeded" || messages.length <= least) throw error;
    }
  }
}

// Pieces of an answer: { forgot } first, { text, tokens } as they come, and { reason } at the end.
// A token is { id, logprob, text }, text being the characters that it completes.
export async function* answer(request, key, signal) {
  const { reply, forgot } = await open(request, key, signal);
  yield { forgot };
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const token = ({ id, logprob, bytes }) => ({
    id, logprob, text: decoder.decode(Uint8Array.from(bytes), { stream: true }),
  });
  for await (const data of events(chunksOf(reply.body))) {
    if (data === "[DONE]") return;
    const event = JSON.parse(data);
    if (event.error) throw new ApiError(500, event.error.message);
    const choice = event.choices[0];
    if (choice?.delta.content !== undefined) {
      yield { text: choice.delta.content, tokens: (choice.logprobs?.content ?? []).map(token) };
    }
    if (choice?.finish_reason) yield { reason: choice.finish_reason };
  }
  throw new ApiError(0, "The connection ended before the answer did.");
}
