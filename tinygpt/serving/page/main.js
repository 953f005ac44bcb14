// The page: what is on it, and what its buttons do. Text of people and of models goes into the
// page as text alone (textContent): nothing that is said is ever markup.

import { ApiError, answer, ask, models, remembered } from "/page/client.js";
import { make } from "/page/draw.js";
import { among, numbers, underlined } from "/page/drawn.js";
import * as store from "/page/store.js";
import { Talk } from "/page/talk.js";
import { answered, onKey, takeKey, tell } from "/page/unlock.js";

const $ = (id) => document.getElementById(id);
const NUMBERS = ["temperature", "top_k", "top_p", "max_tokens", "seed"];
let talk = new Talk();
let known = [];
let under = null; // the answer under way: { node, stop }

// Models.

async function begin() {
  try {
    known = (await models(store.get("key"))).filter((model) => model.writes);
  } catch (error) {
    answered(error);
    return;
  }
  answered(null);
  $("model").replaceChildren(...known.map(({ id }) => make("option", { value: id }, id)));
  const before = store.get("model");
  if (known.some(({ id }) => id === before)) $("model").value = before;
  describe();
}

function describe() {
  const model = known.find(({ id }) => id === $("model").value);
  if (!model) {
    $("about").textContent = "No model here writes.";
    return;
  }
  store.set("model", model.id);
  const kind = model.answers ? "" : "A base model: it does not answer, it goes on with the text. ";
  $("about").textContent = `${kind}It remembers ${model.max_model_len} tokens.`;
}

// What was said.

function shown(node) {
  const mine = node.role === "user";
  const why = make("div", { role: "status" });
  const pick = (i) => explain(node, i, why);
  const text = node.tokens ? underlined(node, pick) : make("p", { class: "text" }, node.content);
  const tools = make("div", { class: "tools" });
  const found = make(
    "article", { class: node.role, "aria-busy": String(under?.node === node) },
    make("h2", {}, mine ? "You" : node.model), text, tools,
  );
  if (under) return found;
  if (node.tokens?.length) found.append(numbers(node, pick), why);
  const [version, count] = talk.version(node);
  if (count > 1) {
    const turn = (step) => () => {
      talk.choose(node, step);
      keep();
    };
    const before = make("button", { type: "button", onclick: turn(-1) }, "Earlier version");
    const after = make("button", { type: "button", onclick: turn(1) }, "Later version");
    before.disabled = version === 0;
    after.disabled = version === count - 1;
    tools.append(before, `${version + 1} of ${count}`, after);
  }
  if (mine) {
    tools.append(make("button", { type: "button", onclick: () => edit(node, found) }, "Edit"));
  } else {
    const again = () => write(node.parent);
    tools.append(make("button", { type: "button", onclick: again }, "Again"), note(node));
  }
  return found;
}

function note(node) {
  const why = { length: "cut at its longest", stopped: "stopped", failed: "broken off" };
  const silent = node.reason === "stop" && !node.content.trim();
  return [`seed ${node.seed}`, silent ? "ended without a word" : why[node.reason]]
    .filter(Boolean).join(", ");
}

// What a token of an answer was drawn among, and how it would have gone on from another.
async function explain(node, at, place) {
  const { begin, system, max_tokens: longest, ...how } = node.asked;
  const messages = remembered(told(node.parent, system), node.forgot);
  const ids = node.tokens.map(([id]) => id);
  const body = JSON.stringify({ ...how, messages, ids, at, begun: begin?.length ?? 0 });
  try {
    const found = await (await ask("/look/drawn", store.get("key"), { method: "POST", body })).json();
    place.replaceChildren(...among(node, at, found, (token, nats) => write(node.parent, {
      ...node.asked, begin: [...ids.slice(0, at), token.id],
    }, [...node.tokens.slice(0, at).map(([, known]) => known), nats])));
    place.firstElementChild.focus();
  } catch (error) {
    tell(error instanceof ApiError ? error.message : "The server is out of reach.");
  }
}

function edit(node, article) {
  const field = make("textarea", { rows: "3", "aria-label": "Edit your message" });
  field.value = node.content;
  const done = () => {
    if (field.value.trim()) write(talk.add(node.parent, "user", field.value).id);
  };
  article.replaceChildren(field, make(
    "div", { class: "tools" },
    make("button", { type: "button", onclick: done }, "Send edited"),
    make("button", { type: "button", onclick: draw }, "Cancel"),
  ));
  field.focus();
}

// The button that has the focus, as what is to be found again once all are made anew.
function focused() {
  const [one, article] = [document.activeElement, document.activeElement.closest("article")];
  const at = [...$("said").children].indexOf(article);
  const words = one.textContent;
  return () => {
    if (at < 0 || document.activeElement !== document.body) return;
    const place = $("said").children[at] ?? $("said").lastElementChild;
    const all = [...place?.querySelectorAll(".tools button:enabled, summary") ?? []];
    (all.find((other) => other.textContent === words) ?? all[0] ?? $("say")).focus();
  };
}

function draw() {
  const again = focused();
  $("said").replaceChildren(...talk.path().map(shown));
  $("send").hidden = Boolean(under);
  $("stop").hidden = !under;
  const turn = (other) => () => {
    under?.stop.abort();
    talk = other;
    draw();
  };
  $("list").replaceChildren(...store.all().map((other) => {
    const button = make("button", { type: "button", onclick: turn(other) }, other.title);
    if (other.id === talk.id) button.setAttribute("aria-current", "true");
    return make("li", {}, button);
  }));
  $("said").scrollTop = $("said").scrollHeight;
  again();
}

function keep() {
  if (!store.save(talk)) tell("This browser has no more room: export or delete conversations.");
  draw();
}

// Asking.

// What a model is told so that it speaks after a message.
function told(parent, system) {
  const messages = talk.messages(parent);
  return system?.trim() ? [{ role: "system", content: system }, ...messages] : messages;
}

// How an answer is to be drawn, as the fields below say.
function settings() {
  const asked = { model: $("model").value, system: $("system").value };
  for (const name of NUMBERS) {
    if ($(name).value !== "") asked[name] = Number($(name).value);
  }
  asked.seed ??= Math.floor(Math.random() * 2 ** 31);
  return asked;
}

// Let the model speak after a message. known: nats of surprise of what the answer begins with.
async function write(parent, asked = settings(), known = []) {
  if (under) return;
  const mine = talk; // another one may be looked at meanwhile
  const { system, ...request } = asked;
  request.messages = told(parent, system);
  const node = mine.add(parent, "assistant", "", {
    model: asked.model, seed: asked.seed, reason: "failed", asked, forgot: 0, tokens: [],
  });
  const stop = new AbortController();
  under = { node, stop };
  tell("");
  draw();
  if (document.activeElement === document.body) $("stop").focus();
  const text = $("said").lastElementChild?.querySelector(".text");
  try {
    for await (const piece of answer(request, store.get("key"), stop.signal)) {
      node.forgot = piece.forgot ?? node.forgot;
      if (piece.text !== undefined) {
        const low = $("said").scrollHeight - $("said").scrollTop - $("said").clientHeight < 40;
        node.content += piece.text;
        for (const { id, logprob, text: own } of piece.tokens) {
          const nats = logprob === null ? known[node.tokens.length] : -logprob;
          node.tokens.push([id, Number(nats.toFixed(3)), own]);
        }
        text.replaceChildren(...underlined(node, () => {}).childNodes);
        if (low) $("said").scrollTop = $("said").scrollHeight;
      }
      node.reason = piece.reason ?? node.reason;
    }
  } catch (error) {
    if (stop.signal.aborted) node.reason = "stopped";
    else tell(error instanceof ApiError ? error.message : "The server is out of reach.");
  }
  under = null;
  if (!store.save(mine)) tell("This browser has no more room: export or delete conversations.");
  const back = document.activeElement === $("stop") || document.activeElement === document.body;
  draw();
  if (back) $("say").focus();
  $("announce").textContent = `${node.model}: ${node.content}`; // once, for who listens
}

function say(event) {
  event.preventDefault();
  const text = $("say").value;
  if (under || !text.trim()) return;
  $("say").value = "";
  write(talk.add(talk.last, "user", text).id);
}

// Buttons.

$("form").addEventListener("submit", say);
$("say").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) say(event);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") under?.stop.abort();
});
$("stop").addEventListener("click", () => {
  under?.stop.abort();
  $("say").focus();
});
$("menu").addEventListener("click", () => {
  $("talks").hidden = !$("talks").hidden;
  $("menu").setAttribute("aria-expanded", String(!$("talks").hidden));
});
$("new").addEventListener("click", () => {
  under?.stop.abort();
  talk = new Talk();
  draw();
  $("say").focus();
});
$("delete").addEventListener("click", () => {
  under?.stop.abort();
  store.remove(talk);
  talk = store.all()[0] ?? new Talk();
  draw();
});
$("export").addEventListener("click", () => {
  const file = new Blob([JSON.stringify(talk, null, 1)], { type: "application/json" });
  const link = make("a", { href: URL.createObjectURL(file), download: "conversation.json" });
  link.click();
  URL.revokeObjectURL(link.href);
});
$("model").addEventListener("change", describe);
onKey(begin);
$("settings").addEventListener("change", () => {
  store.set("settings", Object.fromEntries([...NUMBERS, "system"].map((n) => [n, $(n).value])));
});
for (const [name, value] of Object.entries(store.get("settings") ?? {})) {
  if ($(name)) $(name).value = value;
}

takeKey();
talk = store.all()[0] ?? talk;
draw();
begin();
