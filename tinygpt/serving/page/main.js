// The page: what is on it, and what its buttons do. Text of people and of models goes into the
// page as text alone (textContent): nothing that is said is ever markup.

import { ApiError, answer, models } from "/page/client.js";
import * as store from "/page/store.js";
import { Talk } from "/page/talk.js";
import { answered, onKey, takeKey, tell } from "/page/unlock.js";

const $ = (id) => document.getElementById(id);
const NUMBERS = ["temperature", "top_p", "max_tokens", "seed"];
let talk = new Talk();
let known = [];
let under = null; // the answer under way: { node, stop }

function make(kind, attributes = {}, ...inside) {
  const found = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) found.addEventListener(name.slice(2), value);
    else found.setAttribute(name, value);
  }
  found.append(...inside);
  return found;
}

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
  const text = make("p", { class: "text" }, node.content);
  const tools = make("div", { class: "tools" });
  const found = make(
    "article", { class: node.role, "aria-busy": String(under?.node === node) },
    make("h2", {}, mine ? "You" : node.model), text, tools,
  );
  if (under) return found;
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
  return [`seed ${node.seed}`, why[node.reason]].filter(Boolean).join(", ");
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

function draw() {
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
}

function keep() {
  if (!store.save(talk)) tell("This browser has no more room: export or delete conversations.");
  draw();
}

// Asking.

function request(parent) {
  const asked = { model: $("model").value, messages: talk.messages(parent) };
  for (const name of NUMBERS) {
    if ($(name).value !== "") asked[name] = Number($(name).value);
  }
  asked.seed ??= Math.floor(Math.random() * 2 ** 31);
  if ($("system").value.trim()) {
    asked.messages.unshift({ role: "system", content: $("system").value });
  }
  return asked;
}

// Let the model speak after a message.
async function write(parent) {
  if (under) return;
  const mine = talk; // another one may be looked at meanwhile
  const asked = request(parent);
  const more = { model: asked.model, seed: asked.seed, reason: "failed" };
  const node = mine.add(parent, "assistant", "", more);
  const stop = new AbortController();
  under = { node, stop };
  tell("");
  draw();
  const text = $("said").lastElementChild?.querySelector(".text");
  try {
    for await (const piece of answer(asked, store.get("key"), stop.signal)) {
      if (piece.text) {
        const low = $("said").scrollHeight - $("said").scrollTop - $("said").clientHeight < 40;
        node.content += piece.text;
        text.append(piece.text);
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
  draw();
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
