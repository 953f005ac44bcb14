// Where a reader is stands in the address behind "#": { screen, model, step, beside, text, written,
// off, ... }. So a lesson can link to one head on one sentence, and "back" goes back.

import { make } from "/page/draw.js";

export function state() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

function address(changes) {
  const wanted = new URLSearchParams({ ...state(), ...changes });
  for (const [name, value] of [...wanted]) if (value === "") wanted.delete(name);
  return `#${wanted}`;
}

export function go(changes) {
  const hash = address(changes);
  if (hash === location.hash) dispatchEvent(new Event("hashchange"));
  else location.hash = hash;
}

export function link(changes, ...inside) {
  return make("a", { href: address(changes) }, ...inside);
}

// Heads that are switched off, "layer.head" each.
export function silenced() {
  return (state().off ?? "").split(",").filter(Boolean).map((one) => one.split(".").map(Number));
}
