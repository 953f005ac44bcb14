import { bars, digits, make, percent, visible } from "/page/draw.js";
import { go, link, silenced } from "/page/place.js";

export const title = "Lens";
export const about = "Every layer adds to what the layers before it left. Here the model's last step, "
  + "which turns that into a guess, is made after each layer: what it would say if it ended there. "
  + "The lens was made for the last layer: an early one may know more than it can be read to say.";

const name = (row) => (row === 0 ? "before all" : `after layer ${row - 1}`);

// A row is a whole pass over the vocabulary, so they are asked for some at a time, the last layer
// first, and shown as they come.
const AT_ONCE = 6;

export async function show(side, place, now) {
  const last = side.info.layers;
  const asked = { ...side.read(now), silenced: silenced() };
  const ask = (rows) => side.ask("lens", { ...asked, rows });
  const first = await ask([last]);
  const { tokens } = first;
  const at = Math.min(Number(now.at ?? tokens.length - 1), tokens.length - 1);
  const chosen = Math.min(Number(now.row ?? last), last);
  const lines = Array.from({ length: last + 1 }, (_, row) => make(
    "tr", {}, make("th", { scope: "row" }, name(row)), ...tokens.map(() => make("td"))));
  const fill = (found, i, row) => lines[row].replaceChildren(
    lines[row].firstElementChild, ...tokens.map((_, t) => {
      const cell = make("button", {
        type: "button", onclick: () => go({ at: t, row }),
        "aria-pressed": String(row === chosen && t === at),
      }, visible(found.texts[found.likeliest[i][t][0]]));
      cell.style.setProperty("--p", found.probabilities[i][t][0]);
      return make("td", {}, cell);
    }));
  const detail = make("div");
  const account = make("div");
  place.append(make("div", { class: "wheel", tabindex: "0" }, make(
    "table", { class: "lens" }, make("caption", {}, "The likeliest next token, layer by layer"),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "layer"),
      ...tokens.map((token) => make("th", { scope: "col" }, visible(token.text))))),
    make("tbody", {}, ...[...lines].reverse()),
  )), detail, account);
  const appear = (found) => found.rows.forEach((row, i) => {
    fill(found, i, row);
    if (row === chosen) detail.replaceChildren(...cellOf(found, i, tokens[at], at));
  });
  appear(first);
  side.appear();
  await sums(side, account, asked, at, now.token);
  for (let end = last; end > 0 && !side.left(); end -= AT_ONCE) {
    const start = Math.max(0, end - AT_ONCE);
    appear(await ask(Array.from({ length: end - start }, (_, i) => start + i)));
  }
}

// Of row i of an answer at one token.
function cellOf(found, i, token, at) {
  return [
    make("h3", {}, `After "${token.text}" (${at}), ${name(found.rows[i])}`),
    make("p", { role: "status" }, `Entropy ${digits(found.entropy[i][at])} nats. What the model `
      + `says in the end is number ${found.rank[i][at] + 1} here.`),
    bars(found.likeliest[i][at].map((one, j) => ({
      name: found.texts[one], value: found.probabilities[i][at][j],
      words: percent(found.probabilities[i][at][j]),
    })), "The likeliest tokens of this layer"),
  ];
}

// Who wrote one logit.
async function sums(side, place, { text, silenced: off }, position, token) {
  place.append(make("h3", {}, "Who wrote it"));
  if (side.info.no_account) {
    place.append(make("p", {}, side.info.no_account));
    return;
  }
  const asked = { text, position, silenced: off };
  if (token !== undefined) asked.token = Number(token);
  const found = await side.ask("account", asked);
  const parts = [{ name: "the token and its place", value: found.start }];
  found.heads.forEach((row, l) => {
    row.forEach((value, h) => parts.push({
      name: link({ screen: "attention", head: `${l}.${h}` }, `layer ${l} head ${h}`), value,
    }));
    if (Math.abs(found.rest[l]) > 1e-6) {
      parts.push({ name: `layer ${l} attention's bias`, value: found.rest[l] });
    }
    parts.push({ name: `layer ${l} MLP`, value: found.mlps[l] });
  });
  if (found.norm) parts.push({ name: "the last norm's bias", value: found.norm });
  if (Math.abs(found.rounding) > 1e-3) parts.push({ name: "rounding", value: found.rounding });
  place.append(
    make("p", {}, `The score of "${found.token.text}" after this token is ${digits(found.logit)}, `
      + "the sum of what each part wrote for it (with the last norm held still). What a part read, "
      + "and from whom, is not in it."),
    bars(parts, "Shares of the score"),
  );
}
