import { bars, digits, make, percent, tokenLine } from "/page/draw.js";
import { go, silenced } from "/page/place.js";

export const title = "Next token";
export const about = "At each place the model gives every token a probability to come next. The "
  + "thicker the line under a token, the less it was expected. Choose a token to see what else "
  + "could have stood there.";

// A second bar where drawing changes anything.
export function candidates(found, at) {
  const [before, after] = [found.before[at], found.after[at]];
  const changed = before.some((p, i) => Math.abs(p - after[i]) > 1e-9);
  return bars(found.candidates[at].map((token, i) => ({
    name: token.text, value: before[i], after: changed ? after[i] : undefined,
    words: changed ? `${percent(before[i])}, drawn ${percent(after[i])}` : percent(before[i]),
  })), "The likeliest tokens here");
}

function drawing(state) {
  const number = (value) => (value === undefined || value === "" ? undefined : Number(value));
  const asked = { temperature: number(state.temperature) ?? 1 };
  if (number(state.top_k)) asked.top_k = number(state.top_k);
  if (number(state.top_p)) asked.top_p = number(state.top_p);
  return asked;
}

function settings(state) {
  const field = (words, name, more) => {
    const input = make("input", { type: "number", ...more, value: state[name] ?? more.value });
    input.addEventListener("change", () => go({ [name]: input.value }));
    return make("label", {}, words, input);
  };
  return make(
    "div", { class: "row" },
    field("Temperature", "temperature", { min: 0, max: 2, step: 0.1, value: 1 }),
    field("Top k", "top_k", { min: 1, step: 1, value: "" }),
    field("Top p", "top_p", { min: 0, max: 1, step: 0.05, value: "" }),
  );
}

export async function show(side, place, state) {
  const found = await side.ask("next", {
    ...side.read(state), silenced: silenced(), ...drawing(state),
  });
  const { tokens, losses } = found;
  const known = losses.filter((loss) => loss !== null);
  const mean = known.reduce((sum, loss) => sum + loss, 0) / Math.max(1, known.length);
  const line = make("div");
  const detail = make("div", { role: "status" });
  const pick = (i) => {
    draw(i);
    const before = i === tokens.length ? "what comes next" : `"${tokens[i].text}"`;
    detail.replaceChildren(
      make("h3", {}, i === 0 ? "The first token: nothing stood before it." : `In place of ${before}`),
      ...(i === 0 ? [] : [candidates(found, i - 1)]),
    );
  };
  const draw = (pressed) => line.replaceChildren(tokenLine(tokens, {
    much: losses.map((loss) => (loss ?? 0) / 8), pressed, pick,
    say: (i) => (losses[i] === null ? "the first" : `${digits(losses[i], 2)} nats`),
  }));
  draw();
  place.append(
    make("p", {}, known.length
      ? `Mean surprise ${digits(mean)} nats, as unsure as among ${digits(Math.exp(mean), 1)} tokens.`
      : "One token alone surprises nobody."),
    settings(state), line,
    make("button", { type: "button", onclick: () => pick(tokens.length) }, "What comes next"),
    detail, guessing(found),
  );
}

// A learner against the model: both are scored by -log2 of the probability they gave to what came.
function guessing(found) {
  const { tokens, losses } = found;
  const place = make("div");
  let [at, mine, its, turns] = [1, 0, 0, 0];
  const ask = () => {
    if (at >= tokens.length) {
      place.replaceChildren(make("p", { role: "status" }, `After ${turns} tokens: you ${
        digits(mine / Math.max(1, turns), 2)} bits a token, the model ${
        digits(its / Math.max(1, turns), 2)}. Fewer is better.`));
      return;
    }
    const choice = make("select", { "aria-label": "What comes next?" }, ...(
      found.candidates[at - 1].map((token, i) => make("option", { value: i }, token.text))
    ));
    const sure = make("input", { type: "range", min: 5, max: 95, step: 5, value: 50 });
    const shown = make("output", {}, "50 %");
    sure.addEventListener("input", () => { shown.textContent = `${sure.value} %`; });
    const say = () => {
      const guess = found.candidates[at - 1][Number(choice.value)];
      const p = Number(sure.value) / 100;
      const right = guess.id === tokens[at].id;
      const bits = -Math.log2(right ? p : (1 - p) / Math.max(1, found.candidates[at - 1].length - 1));
      mine += bits;
      its += losses[at] / Math.LN2;
      turns += 1;
      at += 1;
      ask();
      place.prepend(make("p", { role: "status" }, `It was "${tokens[at - 1].text}": ${
        right ? "right" : "wrong"}, ${digits(bits, 2)} bits; the model ${
        digits(losses[at - 1] / Math.LN2, 2)}.`));
      place.querySelector("select")?.focus();
    };
    place.replaceChildren(
      make("p", { class: "answer" }, tokens.slice(0, at).map((one) => one.text).join("")),
      make("div", { class: "row" }, make("label", {}, "What comes next?", choice),
        make("label", {}, make("span", {}, "How sure? ", shown), sure),
        make("button", { type: "button", onclick: say }, "Guess")),
    );
  };
  const details = make("details", {}, make("summary", {}, "Guess first: you against the model"), place);
  details.addEventListener("toggle", () => { if (details.open && !turns) ask(); });
  return details;
}
