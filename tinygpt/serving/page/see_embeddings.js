import { heatmap, make, numbers, percent, scatter, table, visible } from "/page/draw.js";
import { go } from "/page/place.js";

export const title = "Embeddings";
export const about = "To a model a token is a row of numbers. Here all rows are laid flat along the "
  + "two directions in which they differ most, and a token's neighbours are those whose rows point "
  + "its way. Move the checkpoint to see them find their places.";

export async function show(side, place, now) {
  const of = now.of === "positions" ? "positions" : "tokens";
  const select = make("select", {}, make("option", { value: "tokens" }, "tokens"),
    make("option", { value: "positions" }, "positions"));
  select.value = of;
  select.addEventListener("change", () => go({ of: select.value }));
  place.append(make("label", {}, "Rows of ", select));
  const found = await side.ask("embeddings", { of });
  const token = Math.min(Number(now.token ?? 0), found.names.length - 1);
  place.append(make("p", {}, `These two directions hold ${percent(found.shares[0])} and ${
    percent(found.shares[1])} of all that the rows differ in.`));
  if (of === "positions") {
    const alike = numbers(found.similarity);
    place.append(
      scatter("positions", numbers(found.places), found.names, () => {}, new Set([0])),
      make("h3", {}, "Which positions resemble each other"),
      heatmap({
        name: "similarity of positions", exact: alike, rows: found.names, columns: found.names,
        values: Uint8Array.from(alike, (x) => Math.round(255 * Math.max(0, x))),
      }),
    );
    return;
  }
  const near = await side.ask("neighbours", { token });
  const chosen = new Set([token, ...near.near.map((one) => one.id)]);
  const field = make("input", { type: "number", min: 0, max: found.names.length - 1, value: token });
  field.addEventListener("change", () => go({ token: field.value }));
  place.append(
    make("div", { class: "row" }, make("label", {}, "Token number", field)),
    table(`Neighbours of "${near.token.text}"`, ["token", "text", "cosine"],
      near.near.map((one, i) => [one.id, visible(one.text), near.cosines[i]])),
    scatter("tokens", numbers(found.places), found.names, (i) => go({ token: i }), chosen),
  );
}
