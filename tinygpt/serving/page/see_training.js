import { chunksOf, events } from "/page/client.js";
import { curves, make } from "/page/draw.js";
import { go } from "/page/place.js";

export const title = "Training";
export const about = "The run as it learns, read from its files: watching costs it nothing. Move the "
  + "checkpoint above to see any other screen as the model was then, or put two side by side.";

const CURVES = {
  loss: "Loss", lr: "Learning rate", grad_norm: "Norm of the gradient",
  tokens_per_second: "Tokens a second",
};

export async function show(side, place) {
  if (!side.info.run) {
    place.append(make("p", {}, "This model is no folder of a run, so no training of it is known. "
      + "Serve one that `tinygpt train --out` made."));
    return undefined;
  }
  const stop = new AbortController();
  const reply = await side.post("/look/training", {}, stop.signal);
  const seen = { step: [], loss: [], val_loss: [], lr: [], grad_norm: [], tokens_per_second: [] };
  const words = make("p", { role: "status" });
  const charts = make("div", { class: "sides two" });
  const samples = make("div");
  const steps = make("p", { class: "row" });
  const buttons = make("div", { class: "row" });
  place.append(words, buttons, charts, make("h3", {}, "Checkpoints"), steps,
    make("h3", {}, "What it wrote"), samples);
  const press = (what) => async () => {
    try {
      await side.post(`/look/training/${what}`, {});
    } catch (error) {
      words.textContent = error.message;
    }
  };
  let running = false;
  const tell = () => {
    const at = seen.step.length ? ` Step ${seen.step.at(-1)}.` : "";
    words.textContent = (running ? "It is being trained." : "Nobody trains it now.") + at;
  };
  const take = ({ event, value }) => {
    if (event === "anew") Object.values(seen).forEach((list) => list.splice(0));
    if (event === "steps") {
      for (const name of Object.keys(seen)) seen[name].push(...value[name]);
      draw(charts, seen);
      tell();
    }
    if (event === "samples") {
      for (const one of value) {
        samples.prepend(make("details", {}, make("summary", {}, `step ${one.step}`),
          make("p", { class: "answer" }, one.text)));
      }
      samples.firstElementChild?.setAttribute("open", "");
    }
    if (event === "checkpoints") {
      steps.replaceChildren(...value.map((step) => make("button", {
        type: "button", onclick: () => go({ step, screen: "next" }),
      }, `step ${step}`)));
    }
    if (event === "state") {
      ({ running } = value);
      tell();
      if (side.info.control) {
        buttons.replaceChildren(make("button", {
          type: "button", onclick: press(running ? "stop" : "resume"),
        }, running ? "Stop and save" : "Go on training"));
      }
    }
  };
  follow(reply, take).catch(() => {}); // it ends when the reader leaves
  return () => stop.abort();
}

async function follow(reply, take) {
  for await (const data of events(chunksOf(reply.body))) take(JSON.parse(data));
}

function draw(charts, seen) {
  const held = seen.val_loss.map((value) => value ?? NaN);
  charts.replaceChildren(...Object.entries(CURVES).map(([name, words]) => {
    const lines = [{ name, x: seen.step, y: seen[name].map((value) => value ?? NaN) }];
    if (name === "loss" && held.some(Number.isFinite)) {
      const at = seen.step.map((_, i) => i).filter((i) => Number.isFinite(held[i]));
      lines.push({
        name: "held out", kind: "held", x: at.map((i) => seen.step[i]), y: at.map((i) => held[i]),
      });
    }
    return curves(words, lines);
  }));
}
