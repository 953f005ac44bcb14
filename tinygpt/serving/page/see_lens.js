import { bars, digits, make, percent, visible } from "/page/draw.js";
import { go, link, silenced } from "/page/place.js";

export const title = "Lens";
export const about = "Every layer adds to what the layers before it left. Here the model's last step, "
  + "which turns that into a guess, is made after each layer: what it would say if it ended there. "
  + "The lens was made for the last layer: an early one may know more than it can be read to say.";

export async function show(side, place, now) {
  const text = now.text ?? "";
  const found = await side.ask("lens", { ...side.read(now), silenced: silenced() });
  const rows = found.likeliest.length;
  const at = Math.min(Number(now.at ?? found.tokens.length - 1), found.tokens.length - 1);
  const row = Math.min(Number(now.row ?? rows - 1), rows - 1);
  const cell = (r, t) => {
    const button = make("button", {
      type: "button", onclick: () => go({ at: t, row: r }),
      "aria-pressed": String(r === row && t === at),
    }, visible(found.texts[found.likeliest[r][t][0]]));
    button.style.setProperty("--p", found.probabilities[r][t][0]);
    return make("td", {}, button);
  };
  const name = (r) => (r === 0 ? "before all" : `after layer ${r - 1}`);
  const body = [];
  for (let r = rows - 1; r >= 0; r--) {
    body.push(make("tr", {}, make("th", { scope: "row" }, name(r)),
      ...found.tokens.map((_, t) => cell(r, t))));
  }
  const lens = make(
    "table", { class: "lens" }, make("caption", {}, "The likeliest next token, layer by layer"),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "layer"),
      ...found.tokens.map((token) => make("th", { scope: "col" }, visible(token.text))))),
    make("tbody", {}, ...body),
  );
  place.append(
    make("div", { class: "wheel", tabindex: "0" }, lens),
    make("h3", {}, `After "${found.tokens[at].text}" (${at}), ${name(row)}`),
    make("p", { role: "status" }, `Entropy ${digits(found.entropy[row][at])} nats. What the model `
      + `says in the end is number ${found.rank[row][at] + 1} here.`),
    bars(found.likeliest[row][at].map((token, i) => ({
      name: found.texts[token], value: found.probabilities[row][at][i],
      words: percent(found.probabilities[row][at][i]),
    })), "The likeliest tokens of this layer"),
  );
  await sums(side, place, text, at, now.token);
}

// Who wrote one logit.
async function sums(side, place, text, position, token) {
  place.append(make("h3", {}, "Who wrote it"));
  if (side.info.no_account) {
    place.append(make("p", {}, side.info.no_account));
    return;
  }
  const asked = { text, position, silenced: silenced() };
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
