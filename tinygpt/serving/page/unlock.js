// The server's key: taken out of the address that it was printed in, or asked for.

import { make } from "/page/draw.js";
import * as store from "/page/store.js";

const $ = (id) => document.getElementById(id);

export function tell(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// Out of sight, and out of what is copied; what else stands behind "#" stays.
export function takeKey() {
  const place = new URLSearchParams(location.hash.slice(1));
  const given = place.get("key");
  if (!given) return;
  store.set("key", given);
  place.delete("key");
  history.replaceState(null, "", location.pathname + (place.size ? `#${place}` : ""));
}

// What the first request came to: an error, or null.
export function answered(error) {
  const locked = error?.status === 401;
  $("unlock").hidden = !locked;
  if (locked) $("key").focus();
  if (!error) tell("");
  else tell(locked ? "This server needs its key." : `No answer: ${error.message}`);
}

// Put the field for the key below the notice. begin: what is to be tried again with a key.
export function onKey(begin) {
  const field = make("input", { id: "key", type: "password", autocomplete: "off", required: "" });
  const use = (event) => {
    event.preventDefault();
    store.set("key", field.value);
    begin();
  };
  $("notice").after(make(
    "form", { id: "unlock", hidden: "", onsubmit: use },
    make("label", { for: "key" }, "Key of this server"), field, make("button", {}, "Use this key"),
  ));
}
