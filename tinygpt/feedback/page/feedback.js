// What is asked, and by which keys, the page says: compare.html shows two answers, rate.html one.
// A number presses the button that names it, U takes the last back.
// Nothing is kept here but the code: what was judged is on the server's disk before the next comes.

const choices = document.querySelectorAll("[data-choice]");
const at = (id) => document.getElementById(id);
const key = new URLSearchParams(location.hash.slice(1)).get("key") ?? sessionStorage.getItem("key");
if (key) sessionStorage.setItem("key", key);
let code = sessionStorage.getItem("code"), item = null, since = 0, busy = false;

async function ask(what, body) {
  const headers = { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(`/feedback/${what}`, { method: "POST", headers, body: JSON.stringify(body) });
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.error.message), { status: answer.status });
  return found;
}

// Ask, show what comes, and say what went wrong; one question at a time.
async function go(what, body, said) {
  if (busy) return;
  busy = true;
  at("notice").hidden = true;
  try {
    show(await ask(what, body));
    at("announce").textContent = said;
  } catch (error) {
    if (error.status === 403) return forget();
    at("notice").textContent = error.status ? error.message
      : "The computer with this page does not answer. Nothing is lost; try again in a moment.";
    at("notice").hidden = false;
  } finally {
    busy = false;
  }
}

function show(found) {
  item = found.item ?? null;
  at("enter").hidden = true;
  at("bar").hidden = false;
  at("bar").max = found.count;
  at("bar").value = found.done;
  at("count").textContent = `${found.done} of ${found.count}`;
  at("asked").hidden = item === null;
  at("end").hidden = item !== null;
  at("undo").disabled = at("undo2").disabled = found.done === 0;
  if (item === null) return at("thanks").focus();
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = found[place.id];
  for (const box of document.getElementsByName("reason")) box.checked = false;
  at("note").value = "";
  at("prompt").focus({ preventScroll: true });
  scrollTo(0, 0);
  since = performance.now();
}

function forget() {
  sessionStorage.removeItem("code");
  at("enter").hidden = false;
  at("asked").hidden = at("end").hidden = true;
}

function judge({ choice, said }) {
  const reasons = [...document.getElementsByName("reason")].filter((b) => b.checked).map((b) => b.value);
  const seconds = (performance.now() - since) / 1000;
  go("judge", { code, item, choice, reasons, note: at("note").value, seconds }, said);
}

function undo() {
  go("undo", { code }, "The last choice was taken back.");
}

at("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  code = at("code").value.trim();
  sessionStorage.setItem("code", code);
  go("enter", { code, consent: at("consent").checked }, "");
});
for (const button of choices) button.addEventListener("click", () => judge(button.dataset));
at("undo").addEventListener("click", undo);
at("undo2").addEventListener("click", undo);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.matches("textarea, input:not([type=checkbox])")) return;
  const chosen = [...choices].find((button) => button.getAttribute("aria-keyshortcuts") === event.key);
  if (chosen && item !== null) judge(chosen.dataset);
  if (event.key.toLowerCase() === "u" && code && at("enter").hidden) undo();
});
if (code) go("next", { code }, "");
