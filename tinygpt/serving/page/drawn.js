// An answer as the draws that it is: each token underlined by its surprise, and behind each what it
// was drawn among. node.tokens: [id, nats of surprise, text] each.

import { bars, digits, make, percent, table, visible } from "/page/draw.js";

const likely = (nats) => (nats === null ? "" : percent(Math.exp(-nats)));
const bits = (nats) => (nats === null ? "" : digits(nats / Math.LN2, 1));

// The answer's text. pick(i): a token was chosen by hand; by keyboard `numbers` is there.
export function underlined(node, pick) {
  const place = make("p", { class: "text" });
  let left = node.content.length; // a stop text is cut out of a token
  node.tokens.forEach(([, nats, whole], i) => {
    const text = whole.slice(0, left);
    left -= text.length;
    if (!text) return;
    const one = make("span", {
      class: "drawn", title: likely(nats), onclick: () => pick(i),
    }, text);
    one.style.setProperty("--much", Math.min(1, (nats ?? 0) / 8).toFixed(2));
    place.append(one);
  });
  place.append(node.content.slice(node.content.length - left));
  return place;
}

// The table behind the lines: one stop of the Tab key, arrows go from token to token.
export function numbers(node, pick) {
  const names = node.tokens.map(([, , text], i) => make("button", {
    type: "button", tabindex: i ? -1 : 0, onclick: () => pick(i),
  }, visible(text)));
  const details = make("details", { class: "numbers" }, make("summary", {}, "Its tokens"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    details.append(make("div", { class: "wheel" }, table(
      "Choose one to see what it was drawn among; arrow keys go up and down",
      ["token", "likely", "surprise, bits"],
      node.tokens.map(([, nats], i) => [names[i], likely(nats), bits(nats)]),
    )));
  });
  details.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1, Home: -names.length, End: names.length }[event.key];
    const at = names.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(names.length - 1, at + step));
    names[at].tabIndex = -1;
    names[to].tabIndex = 0;
    names[to].focus();
  });
  return details;
}

function draw(found) {
  if (found.number === null) return "Nothing was drawn: ";
  const at = `The number drawn was ${digits(found.number, 4)}: `;
  return found.share ? `${at}it fell between ${digits(found.share[0], 4)} and ${
    digits(found.share[1], 4)}, which is this token's share. ` : at;
}

// What a token was drawn among. found: of /look/drawn.  branch(token, nats): take another.
export function among(node, at, found, branch) {
  const [id, nats, text] = node.tokens[at];
  const given = at < (node.asked.begin?.length ?? 0);
  const why = given ? "Nothing was drawn: you chose it. "
    : node.asked.temperature === 0 ? "Nothing was drawn: at temperature 0 the likeliest is taken. "
      : draw(found);
  const rows = found.candidates.map((token, i) => ({
    name: token.id === id || found.ends[i] ? `${visible(token.text)}${
      token.id === id ? " (this)" : " (the end)"}`
      : make("button", {
        type: "button", onclick: () => branch(token, -Math.log(found.before[i])),
      }, visible(token.text)),
    value: found.before[i], after: found.after[i],
    words: `${percent(found.before[i])}, drawn ${percent(found.after[i])}`,
  }));
  return [
    make("h3", { tabindex: "-1" }, `"${visible(text)}" was ${likely(nats)} likely (${bits(nats)} bits)`),
    make("p", { class: "quiet" }, `${why}Below, each candidate as the model has it, and as it is `
      + "drawn after temperature, top k and top p. Choose another, and the answer goes on from it."),
    bars(rows, "What it was drawn among"),
  ];
}
