// The frame of all screens: which model, which checkpoint, which text, which screen (place.js).

import { ApiError, ask, models } from "/page/client.js";
import { digits, make } from "/page/draw.js";
import { go, silenced, state } from "/page/place.js";
import * as store from "/page/store.js";
import * as attention from "/page/see_attention.js";
import * as embeddings from "/page/see_embeddings.js";
import * as gaps from "/page/see_gaps.js";
import * as lens from "/page/see_lens.js";
import * as next from "/page/see_next.js";
import * as tokens from "/page/see_tokens.js";
import * as tour from "/page/see_tour.js";
import * as training from "/page/see_training.js";
import * as weights from "/page/see_weights.js";
import * as write from "/page/see_write.js";
import { answered, onKey, takeKey } from "/page/unlock.js";

const SCREENS = { tour, write, tokens, next, attention, lens, embeddings, weights, gaps, training };
const $ = (id) => document.getElementById(id);
let known = [];
let round = 0; // of drawing: what comes back late is not shown
let leave = []; // what ends what the screen before has running

function post(path, body, signal) {
  return ask(path, store.get("key"), { method: "POST", body: JSON.stringify(body), signal });
}

// What a screen asks with: a model at a checkpoint, and what its answers came from.
function side(name, step, turn) {
  const found = { name, step, by: new Set(), seconds: 0, info: null };
  found.left = () => turn !== round; // whether the reader went on to something else
  found.whom = { model: name, ...(step === undefined ? {} : { step: Number(step) }) };
  // What a screen's text is: of a model that reads one and writes another, both.
  found.read = (now) => ({
    text: now.text ?? "",
    ...(found.info.assembly === "encoder-decoder" ? { written: now.written ?? "" } : {}),
  });
  found.post = (path, more, signal) => post(path, { model: name, ...more }, signal);
  found.ask = async (what, more = {}) => {
    const answer = await (await post(`/look/${what}`, { ...found.whom, ...more })).json();
    found.seconds += answer.seconds ?? 0;
    for (const one of answer.by ?? []) found.by.add(one);
    return answer;
  };
  return found;
}

// What there is to look at.
async function learn(one) {
  try {
    one.info = await one.ask("model");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    one.trouble = error;
  }
}

function placeOf(one, named) {
  const words = `${one.name}${one.step === undefined ? "" : `, step ${one.step}`}`;
  one.body = make("div");
  return make("section", { "aria-label": words }, named ? make("h3", {}, words) : null, one.body);
}

async function show(screen, one, now) {
  try {
    if (one.trouble) throw one.trouble;
    const end = await screen.show(one, one.body, now);
    if (end) leave.push(end);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    one.body.append(make("p", { role: "status" }, error.message));
  }
}

async function draw() {
  const turn = ++round;
  leave.forEach((end) => end());
  leave = [];
  const now = state();
  const name = SCREENS[now.screen] ? now.screen : "tour";
  const screen = SCREENS[name];
  document.title = `${screen.title} - tinygpt`;
  for (const one of $("screens").querySelectorAll("a")) {
    if (one.dataset.screen === name) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
    one.href = `#${new URLSearchParams({ ...now, screen: one.dataset.screen })}`;
  }
  $("title").textContent = screen.title;
  $("about").textContent = screen.about;
  const off = silenced();
  $("silenced").replaceChildren();
  if (off.length) {
    $("silenced").append(
      `Switched off: ${off.map(([l, h]) => `layer ${l} head ${h}`).join(", ")}. `,
      make("button", { type: "button", onclick: () => go({ off: "" }) }, "Switch all on"),
    );
  }
  const model = known.some(({ id }) => id === now.model) ? now.model : known[0]?.id;
  if (!model) return;
  $("model").value = model;
  $("busy").textContent = "Looking ...";
  const sides = [side(model, now.step, turn)];
  if (now.beside) {
    const [other, step] = now.beside.split("@");
    sides.push(side(other, step, turn));
  }
  await Promise.all(sides.map(learn));
  if (turn !== round) return;
  now.text ??= sides[0].info?.example ?? "";
  $("text").value = now.text;
  $("written").value = now.written ?? "";
  checkpoints(sides[0].info, now);
  const places = sides.map((one) => placeOf(one, sides.length > 1));
  // In place of the screen before as soon as there is something to be seen.
  const appear = () => {
    if (turn !== round || places[0].isConnected) return;
    $("screen").className = sides.length > 1 ? "sides two" : "sides";
    $("screen").replaceChildren(...places);
  };
  for (const one of sides) {
    one.appear = appear;
    await show(screen, one, now);
    if (turn !== round) return;
  }
  appear();
  const by = new Set(sides.flatMap((one) => [...one.by]));
  $("busy").textContent = `Made in ${digits(1000 * sides[0].seconds, 0)} ms.`;
  $("by").replaceChildren(
    by.size ? "Where do these numbers come from? " : "",
    ...[...by].sort().map((one) => make(
      "button", { type: "button", onclick: () => source(one) }, one.split(":")[1],
    )),
  );
}

function checkpoints(info, now) {
  const steps = info?.steps ?? [];
  $("at").hidden = !steps.length;
  $("step").max = Math.max(0, steps.length - 1);
  const at = steps.indexOf(Number(now.step ?? steps.at(-1)));
  $("step").value = at < 0 ? steps.length - 1 : at;
  $("step-name").textContent = steps.length ? `step ${steps[$("step").value]}` : "";
  $("step").dataset.steps = steps.join(",");
  $("written-label").hidden = info?.assembly !== "encoder-decoder";
  const options = known.filter(({ id }) => id !== $("model").value).map(({ id }) => [id, id]);
  for (const step of steps) {
    options.push([`${$("model").value}@${step}`, `${$("model").value}, step ${step}`]);
  }
  $("beside").replaceChildren(
    make("option", { value: "" }, "nothing"),
    ...options.map(([value, words]) => make("option", { value }, words)),
  );
  $("beside").value = now.beside ?? "";
}

async function source(name) {
  const found = await (await post("/look/source", { name })).json();
  $("source-name").textContent = `${found.file}, line ${found.line}`;
  $("source").querySelector("pre").textContent = found.text;
  $("source").showModal();
}

async function begin() {
  try {
    known = await models(store.get("key"));
  } catch (error) {
    answered(error);
    return;
  }
  answered(null);
  $("model").replaceChildren(...known.map(({ id }) => make("option", { value: id }, id)));
  await draw();
}

$("screens").querySelector("ul").append(...Object.entries(SCREENS).map(([name, { title }]) => make(
  "li", {}, make("a", { "data-screen": name, href: `#screen=${name}` }, title),
)));
$("what").addEventListener("submit", (event) => {
  event.preventDefault();
  go({ text: $("text").value, written: $("written").value });
});
$("model").addEventListener("change", () => go({ model: $("model").value, step: "", off: "" }));
$("beside").addEventListener("change", () => go({ beside: $("beside").value }));
$("step").addEventListener("input", () => {
  const steps = $("step").dataset.steps.split(",");
  $("step-name").textContent = `step ${steps[$("step").value]}`;
});
$("step").addEventListener("change", () => {
  go({ step: $("step").dataset.steps.split(",")[$("step").value] });
});
onKey(begin);
addEventListener("hashchange", draw);
takeKey();
begin();
