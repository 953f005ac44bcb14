import { digits, heatmap, make, numbers, percent, shaded, visible } from "/page/draw.js";
import { go, silenced, state } from "/page/place.js";
import { candidates } from "/page/see_next.js";

export const title = "Attention";
export const about = "Each head of each layer looks back from every token (a row) at those before it "
  + "(columns) and takes from each as much as its shade says. Choose a head to see its numbers, and "
  + "switch it off to see what the model loses. Its name is what it does on random text.";

const HALVES = { self: "The text to itself", source: "The source to itself", cross: "To the source" };

const habits = new Map(); // of a model at a step: random text says the same each time

async function habitsOf(side) {
  const key = JSON.stringify(side.whom);
  const found = habits.get(key) ?? await side.ask("habits").catch(() => null);
  if (found) habits.set(key, found);
  for (const one of found?.by ?? []) side.by.add(one);
  return found;
}

function chooser(side, half) {
  if (side.info.assembly !== "encoder-decoder") return null;
  const select = make("select", {}, ...Object.entries(HALVES).map(
    ([value, words]) => make("option", { value }, words)));
  select.value = half;
  select.addEventListener("change", () => go({ half: select.value }));
  return make("label", {}, "Who looks at whom ", select);
}

export async function show(side, place, now) {
  const half = side.info.assembly === "encoder-decoder" ? now.half ?? "cross" : "self";
  const asked = { ...side.read(now), silenced: silenced(), half };
  const found = await side.ask("attention", asked);
  const values = numbers(found.maps);
  const [layers, heads, rows, columns] = found.maps.shape;
  const off = new Set(silenced().map(([l, h]) => `${l}.${h}`));
  const chosen = (now.head ?? "0.0").split(".").map(Number);
  const grid = make("div", { class: "grid", role: "group", "aria-label": "Heads" });
  grid.style.setProperty("--heads", heads); // a layer is a row
  const labels = [];
  for (let l = 0; l < layers; l++) {
    for (let h = 0; h < heads; h++) {
      const at = (l * heads + h) * rows * columns;
      const map = values.subarray(at, at + rows * columns);
      const silent = off.has(`${l}.${h}`);
      labels.push(make("span", {}, silent ? "(off)" : ""));
      grid.append(make(
        "button", {
          type: "button", class: silent ? "off" : "",
          "aria-pressed": String(l === chosen[0] && h === chosen[1]),
          onclick: () => go({ head: `${l}.${h}` }),
        }, shaded(make("canvas", { "aria-hidden": "true" }), map, rows, columns),
        `${l}.${h} `, labels.at(-1),
      ));
    }
  }
  const [detail, habit] = [make("div"), make("p", { class: "quiet" })];
  place.append(...[chooser(side, half)].filter(Boolean), detail,
    make("h3", {}, "All heads: layer.head"), grid);
  const there = chosen[0] < layers && chosen[1] < heads;
  if (there) await head(side, detail, found, asked, chosen, habit);
  side.appear();
  const names = side.info.assembly === "encoder-decoder" ? null : await habitsOf(side);
  if (!names) return;
  names.names.flat().forEach((name, i) => { labels[i].textContent ||= name; });
  if (there) {
    habit.textContent = `On random text: ${names.habits.map((name, i) => `${name} ${
      percent(names.scores[i][chosen[0]][chosen[1]])}`).join(", ")}.`;
  }
}

async function head(side, place, found, asked, [layer, number], habit) {
  const one = await side.ask("head", { ...asked, layer, head: number });
  const [weights, scores, masked] = [numbers(one.weights), numbers(one.scores), numbers(one.masked)];
  const [rows, columns] = one.weights.shape;
  const line = make("p", { class: "text-line" });
  const words = make("p", { role: "status" }, "Move over the map, or use the arrow keys on it.");
  const pieces = found.keys.map((token) => make("span", { class: "tok" }, visible(token.text)));
  line.append(...pieces);
  const pick = (r, c) => {
    const at = r * columns + c;
    pieces.forEach((piece, i) => piece.style.setProperty("--much", weights[r * columns + i]));
    const seen = masked[at] ? "it may not look there: masked"
      : `q k / ${digits(one.divisor, 2)} = ${digits(scores[at])}, after the softmax ${
        percent(weights[at])}`;
    words.textContent = `"${found.queries[r].text}" (${r}) looks at "${found.keys[c].text}" (${c}): ${
      seen}. The row sums to ${digits(weights.subarray(r * columns, (r + 1) * columns)
      .reduce((sum, w) => sum + w, 0))}.`;
  };
  const shades = Uint8Array.from(weights, (w) => Math.round(255 * w));
  place.append(
    make("h3", {}, `Layer ${layer}, head ${number}`),
    habit, line, words,
    heatmap({
      name: `attention of layer ${layer} head ${number}`, values: shades, exact: weights,
      rows: found.queries.map((token) => token.text), columns: found.keys.map((token) => token.text),
      pick,
    }),
  );
  if (asked.half === "self" && side.info.assembly === "decoder") {
    place.append(await switching(side, asked, layer, number));
  }
}

async function switching(side, asked, layer, number) {
  const name = `${layer}.${number}`;
  const off = (state().off ?? "").split(",").filter(Boolean);
  const silent = off.includes(name);
  const wanted = silent ? off.filter((one) => one !== name) : [...off, name];
  const place = make("div", {}, make("button", {
    type: "button", onclick: () => go({ off: wanted.join(",") }),
  }, silent ? "Switch this head on" : "Switch this head off"));
  if (!off.length) return place;
  const whole = await side.ask("next", { text: asked.text });
  const less = await side.ask("next", { text: asked.text, silenced: asked.silenced });
  const mean = ({ losses }) => losses.slice(1).reduce((sum, x) => sum + x, 0)
    / Math.max(1, losses.length - 1);
  place.append(make("p", { role: "status" }, `Mean surprise with all heads ${
    digits(mean(whole))} nats, without those switched off ${digits(mean(less))}.`));
  const last = whole.tokens.length - 1;
  place.append(make("div", { class: "sides two" },
    make("div", {}, make("h4", {}, "Next, with all heads"), candidates(whole, last)),
    make("div", {}, make("h4", {}, "Next, without"), candidates(less, last))));
  return place;
}
