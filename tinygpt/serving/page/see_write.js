import { chunksOf, events } from "/page/client.js";
import { bars, digits, make, percent, tokenLine, visible } from "/page/draw.js";
import { go } from "/page/place.js";

export const title = "Write";
export const about = "The model goes on with your text, one token after the other. The thicker the "
  + "line under a token, the less likely it was. Choose one to see the others it was drawn among, "
  + "and choose one of those: what if it had been that?";

export async function show(side, place, now) {
  if (side.info.assembly !== "decoder") {
    place.append(make("p", {}, "This model does not go on with a text. Choose a decoder."));
    return undefined;
  }
  const stop = new AbortController();
  const seed = Number(now.seed ?? 1);
  const line = make("p", { class: "text-line" });
  const detail = make("div", { role: "status" });
  const start = make("p", { class: "answer" }, now.text ?? "");
  const field = make("input", { type: "number", min: 0, value: seed });
  field.addEventListener("change", () => go({ seed: field.value }));
  const again = make("button", { type: "button" }, "Write");
  place.append(start, make("div", { class: "row" }, make("label", {}, "Seed", field), again),
    line, detail);
  again.addEventListener("click", () => write(side, now, seed, stop.signal, line, detail));
  if (side.step === undefined) await write(side, now, seed, stop.signal, line, detail);
  else place.append(make("p", {}, "Only the last checkpoint writes. See what an earlier one expects "
    + "on the screen of the next token."));
  return () => stop.abort();
}

async function write(side, now, seed, signal, line, detail) {
  const drawn = [];
  const pick = (i) => {
    draw(i);
    chosen(drawn, i, now, seed, detail);
  };
  const draw = (pressed) => line.replaceChildren(...tokenLine(drawn, {
    much: drawn.map((one) => -one.logprob / 8), pressed, pick,
    say: (i) => `${percent(Math.exp(drawn[i].logprob))} likely`,
  }).childNodes);
  const reply = await side.post("/v1/completions", {
    prompt: now.text || " ", max_tokens: 60, logprobs: 10, stream: true, seed, temperature: 0.8,
  }, signal);
  for await (const data of events(chunksOf(reply.body))) {
    if (data === "[DONE]") break;
    const choice = JSON.parse(data).choices[0];
    choice?.logprobs?.tokens.forEach((text, i) => drawn.push({
      text, logprob: choice.logprobs.token_logprobs[i], top: choice.logprobs.top_logprobs[i],
    }));
    draw();
  }
  detail.textContent = `Seed ${seed}: ${drawn.length} tokens. The same seed writes the same.`;
}

function chosen(drawn, at, now, seed, detail) {
  const before = drawn.slice(0, at).map((one) => one.text).join("");
  const rows = Object.entries(drawn[at].top).sort((a, b) => b[1] - a[1]).map(([text, logprob]) => ({
    name: make("button", {
      type: "button", onclick: () => go({ text: `${now.text ?? ""}${before}${text}`, seed }),
    }, visible(text)), value: Math.exp(logprob), words: percent(Math.exp(logprob)),
  }));
  detail.replaceChildren(
    make("h3", {}, `"${drawn[at].text}" was ${percent(Math.exp(drawn[at].logprob))} likely (${
      digits(-drawn[at].logprob / Math.LN2, 1)} bits)`),
    bars(rows, "What it was drawn among: choose one to go on from there"),
  );
}
