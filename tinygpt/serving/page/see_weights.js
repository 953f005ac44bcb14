import { bars, curves, digits, make, table } from "/page/draw.js";
import { go } from "/page/place.js";

export const title = "Weights";
export const about = "What was learned is in these matrices and nowhere else. A matrix stretches some "
  + "directions much and most a little (its singular values); rounding it to few bits changes it by "
  + "the part that stands below. Serve an int8 file beside the run to see both answer.";

export async function show(side, place, now) {
  const { names } = await side.ask("matrix");
  const name = names.includes(now.matrix) ? now.matrix : names[0];
  const select = make("select", {}, ...names.map((one) => make("option", { value: one }, one)));
  select.value = name;
  select.addEventListener("change", () => go({ matrix: select.value }));
  const found = await side.ask("matrix", { name });
  place.append(
    make("label", {}, "Matrix ", select),
    make("p", {}, `${found.shape[0]} x ${found.shape[1]}: as spread out as ${
      digits(found.effective, 1)} equal directions.`),
    make("h3", {}, "How its values lie"),
    bars(found.counts.map((count, i) => ({
      name: digits((found.edges[i] + found.edges[i + 1]) / 2), value: count, words: String(count),
    })).filter((row) => row.value), "Histogram"),
    curves("Singular values", [{
      name: "value", x: found.singular.map((_, i) => i), y: found.singular,
    }]),
    table("What rounding changes", ["scheme", "part of the matrix"],
      Object.entries(found.errors).map(([scheme, error]) => [scheme, error])),
  );
}
