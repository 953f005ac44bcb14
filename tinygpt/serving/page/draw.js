// Pictures and the tables behind them: a picture is for eyes, its table for every other reader, for
// tests and for whoever wants the numbers. Colours are the page's own, so light and dark agree.

export function make(kind, attributes = {}, ...inside) {
  const found = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) found.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) found.setAttribute(name, value);
  }
  found.append(...inside.filter((one) => one !== null && one !== undefined));
  return found;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(kind, attributes = {}, ...inside) {
  const found = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  found.append(...inside);
  return found;
}

// An array of the server: { shape, f32 } or { shape, u8 }.
export function numbers(packed) {
  const bytes = Uint8Array.from(atob(packed.f32 ?? packed.u8), (c) => c.charCodeAt(0));
  return packed.f32 === undefined ? bytes : new Float32Array(bytes.buffer);
}

export function digits(value, count = 3) {
  if (value === null || value === undefined) return "";
  return Math.abs(value) >= 1e5 ? value.toExponential(2) : value.toFixed(count);
}

// A token's text as something to be seen: what would show nothing has a sign. Of half a character
// there is no text.
const SIGNS = { " ": "␣", "\n": "↵", "\r": "␍", "\t": "⇥" };
const sign = (c) => SIGNS[c] ?? `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
export function visible(text) {
  const blank = /^[\p{C}\p{Z}]*$/u.test(text);
  const shown = blank ? [...text].map(sign).join("") : text.replace(/\p{Cc}/gu, sign);
  return shown.replaceAll("\\n", "↵") || "(part)";
}

export const percent = (p) => `${(100 * p).toFixed(p < 0.001 ? 3 : 1)} %`;

export function table(caption, head, rows) {
  const cell = (value) => (typeof value === "number"
    ? make("td", { class: "n" }, digits(value))
    : make("td", {}, value));
  return make(
    "table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...head.map((one) => make("th", { scope: "col" }, visible(one))))),
    make("tbody", {}, ...rows.map((row) => make(
      "tr", {}, make("th", { scope: "row" }, typeof row[0] === "object" ? row[0]
        : visible(String(row[0]))), ...row.slice(1).map(cell),
    ))),
  );
}

function rgb(name) {
  const found = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(found.slice(at, at + 2), 16));
}

// Values of 0 to 255 as an image of rows x columns, a pixel each; CSS makes it larger.
export function shaded(canvas, values, rows, columns) {
  const [low, high] = [rgb("--back"), rgb("--strong")];
  canvas.width = columns;
  canvas.height = rows;
  const image = new ImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) {
    const part = Math.sqrt(values[i] / 255); // a weight of a tenth is seen
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = low[c] + (high[c] - low[c]) * part;
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// The picture as a file of its own: an SVG with its colours in it. What is not on the page has its
// colours already.
export function save(name, node) {
  const copy = node.cloneNode(true);
  copy.setAttribute("xmlns", SVG);
  const inside = [...copy.querySelectorAll("*")];
  const outside = [...node.querySelectorAll("*")];
  outside.forEach((one, i) => {
    const style = getComputedStyle(one);
    for (const property of ["fill", "stroke", "stroke-width", "paint-order", "font-family", "font-size"]) {
      const value = style.getPropertyValue(property);
      if (value) inside[i].setAttribute(property, value);
    }
  });
  const text = new XMLSerializer().serializeToString(copy);
  const link = make("a", {
    href: URL.createObjectURL(new Blob([text], { type: "image/svg+xml" })), download: `${name}.svg`,
  });
  link.click();
  URL.revokeObjectURL(link.href);
}

// A grid of shades as SVG, one square each, for `save`.
export function squares(values, rows, columns) {
  const [low, high] = [rgb("--back"), rgb("--strong")];
  const found = svg("svg", { viewBox: `0 0 ${8 * columns} ${8 * rows}` });
  for (let i = 0; i < rows * columns; i++) {
    const part = Math.sqrt(values[i] / 255);
    const fill = `rgb(${low.map((from, c) => Math.round(from + (high[c] - from) * part))})`;
    found.append(svg("rect", {
      x: 8 * (i % columns), y: 8 * Math.floor(i / columns), width: 8, height: 8, fill,
    }));
  }
  return found;
}

function unfolding(words, fill) {
  const details = make("details", {}, make("summary", {}, words));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) {
      details.append(make("div", { class: "wheel", tabindex: "0" }, fill()));
    }
  });
  return details;
}

// A map of rows x columns with names, its table and its file. pick(row, column): a cell was chosen,
// by hand, or by the arrow keys.
export function heatmap({ name, values, exact, rows, columns, pick }) {
  const size = Math.max(6, Math.min(22, Math.floor(640 / columns.length)));
  const canvas = shaded(make("canvas", {
    tabindex: "0", role: "img",
    "aria-label": `${name}: ${rows.length} rows, ${columns.length} columns. Arrow keys choose a `
      + "cell, the table below has all numbers.",
  }), values, rows.length, columns.length);
  canvas.style.width = `${size * columns.length}px`;
  canvas.style.height = `${size * rows.length}px`;
  let [row, column] = [rows.length - 1, 0];
  const choose = (r, c) => {
    row = Math.max(0, Math.min(rows.length - 1, r));
    column = Math.max(0, Math.min(columns.length - 1, c));
    pick?.(row, column);
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [Math.floor((event.clientY - box.top) / box.height * rows.length),
      Math.floor((event.clientX - box.left) / box.width * columns.length)];
  };
  canvas.addEventListener("pointermove", (event) => choose(...at(event)));
  canvas.addEventListener("click", (event) => choose(...at(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (!step[event.key]) return;
    event.preventDefault();
    choose(row + step[event.key][0], column + step[event.key][1]);
  });
  const numbersOf = () => table(
    name, ["from", ...columns],
    rows.map((label, r) => [label, ...columns.map((_, c) => (
      exact ? exact[r * columns.length + c] : values[r * columns.length + c] / 255))]),
  );
  return make(
    "figure", {}, make("div", { class: "wheel" }, canvas),
    unfolding("The numbers", numbersOf),
    make("button", {
      type: "button", onclick: () => save(name, squares(values, rows.length, columns.length)),
    }, "Save as SVG"),
  );
}

// Names with bars of 0 to 1, or of both signs, and their file. Each row: { name, value, words }, name
// text or a node; after: a second, thinner bar below, what became of the value.
export function bars(rows, label) {
  const most = Math.max(...rows.map((row) => Math.max(Math.abs(row.value), row.after ?? 0)), 1e-12);
  const signed = rows.some((row) => row.value < 0);
  const long = rows.some(({ words }) => words?.length > 12); // on a phone it stands below its bar
  const found = make("div", {
    class: long ? "bars long" : "bars", role: "list", "aria-label": label,
  });
  for (const { name, value, words, after } of rows) {
    const bar = make("div", { class: value < 0 ? "bar minus" : "bar" });
    const width = 100 * Math.abs(value) / most / (signed ? 2 : 1);
    bar.style.width = `${width}%`;
    if (signed) bar.style.left = value < 0 ? `${50 - width}%` : "50%";
    const thin = after === undefined ? null : make("div", { class: "bar after" });
    if (thin) thin.style.width = `${100 * after / most}%`;
    found.append(make(
      "div", { role: "listitem", class: "line" },
      make("span", { class: "name" }, typeof name === "string" ? visible(name) : name),
      make("div", { class: signed ? "space" : "", "aria-hidden": "true" }, bar, thin),
      make("span", {}, words ?? digits(value)),
    ));
  }
  return make("figure", {}, found, make("button", {
    type: "button", onclick: () => save(label, barsPicture(found, rows, most, signed)),
  }, "Save as SVG"));
}

// The same as SVG: a row of 20 units each, names to the left, numbers to the right.
function barsPicture(list, rows, most, signed) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const text = (words, x, y, more) => svg("text", {
    x, y, fill: colour("--text"), "font-family": "sans-serif", "font-size": "12", ...more,
  }, words);
  const found = svg("svg", { viewBox: `0 0 640 ${20 * rows.length}` });
  rows.forEach(({ value, after }, i) => {
    const [name, , words] = list.children[i].children;
    const rect = (size, y, height, fill) => {
      const width = Math.abs(size) / most * (signed ? 140 : 280);
      const x = 170 + (signed ? 140 - (size < 0 ? width : 0) : 0);
      found.append(svg("rect", { x, y: 20 * i + y, width, height, fill }));
    };
    found.append(text(name.textContent, 160, 20 * i + 14, { "text-anchor": "end" }),
      text(words.textContent, 460, 20 * i + 14));
    rect(value, 3, after === undefined ? 14 : 9, colour(value < 0 ? "--warm" : "--bar"));
    if (after !== undefined) rect(after, 13, 4, colour("--warm"));
  });
  return found;
}

const short = (value) => digits(value, Math.abs(value) >= 100 ? 0 : 3);

// Curves over x. Each: { name, x, y, kind: "curve" or "held" }.
export function curves(name, lines, { height = 180, width = 560 } = {}) {
  const points = lines.flatMap(({ x, y }) => x.map((at, i) => [at, y[i]]))
    .filter(([, value]) => Number.isFinite(value));
  if (!points.length) return make("p", { class: "quiet" }, `${name}: nothing yet.`);
  const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
  const range = (all) => {
    const [low, high] = [Math.min(...all), Math.max(...all)];
    return high > low ? [low, high] : [low - 0.5, high + 0.5];
  };
  const [[x0, x1], [y0, y1]] = [range(xs), range(ys)];
  const px = (x) => 60 + (x - x0) / (x1 - x0) * (width - 70);
  const py = (y) => height - 22 - (y - y0) / (y1 - y0) * (height - 34);
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${name}: from ${digits(ys[0])} to ${digits(ys.at(-1))}.`,
  });
  picture.append(
    svg("path", { class: "axis", d: `M60 8V${height - 22}H${width - 10}`, fill: "none" }),
    svg("text", { x: 4, y: py(y1) + 8 }, short(y1)), svg("text", { x: 4, y: py(y0) }, short(y0)),
    svg("text", { x: 60, y: height - 6 }, String(Math.round(x0))),
    svg("text", { x: width - 10, y: height - 6, "text-anchor": "end" }, String(Math.round(x1))),
  );
  for (const { x, y, kind } of lines) {
    let d = "";
    x.forEach((at, i) => {
      if (Number.isFinite(y[i])) d += `${d ? "L" : "M"}${px(at).toFixed(1)} ${py(y[i]).toFixed(1)}`;
    });
    picture.append(svg("path", { class: kind ?? "curve", d }));
  }
  const numbersOf = () => table(
    name, ["step", ...lines.map((line) => line.name)],
    lines[0].x.map((at, i) => [at, ...lines.map(({ y }) => y[i] ?? "")]),
  );
  const others = lines.slice(1).map((line) => `, ${line.name} in the other colour`).join("");
  return make("figure", {}, make("figcaption", {}, name + others), picture,
    unfolding("The numbers", numbersOf),
    make("button", { type: "button", onclick: () => save(name, picture) }, "Save as SVG"));
}

// Points with names. chosen: which are marked.
export function scatter(name, places, names, pick, chosen = new Set()) {
  const xs = names.map((_, i) => places[2 * i]);
  const ys = names.map((_, i) => places[2 * i + 1]);
  const scale = (all) => {
    const [low, high] = [Math.min(...all), Math.max(...all)];
    return (v) => 12 + (v - low) / Math.max(high - low, 1e-12) * 536;
  };
  const [px, py] = [scale(xs), scale(ys)];
  const picture = svg("svg", {
    viewBox: "0 0 560 560", role: "img", "aria-label": `${name}: ${names.length} points.`,
  });
  const labels = [];
  names.forEach((text, i) => {
    const dot = svg("circle", {
      cx: px(xs[i]).toFixed(1), cy: (560 - py(ys[i])).toFixed(1), r: chosen.has(i) ? 5 : 2.5,
      class: chosen.has(i) ? "chosen" : "dot",
    }, svg("title", {}, text));
    dot.addEventListener("click", () => pick(i));
    picture.append(dot);
    if (chosen.has(i)) {
      labels.push(svg("text", {
        class: "label", x: px(xs[i]) + 7, y: 564 - py(ys[i]),
      }, visible(text)));
    }
  });
  picture.append(...labels); // above all points
  const numbersOf = () => table(
    name, ["token", "x", "y"], names.map((text, i) => [text, xs[i], ys[i]]),
  );
  return make("figure", {}, picture, unfolding("The numbers", numbersOf),
    make("button", { type: "button", onclick: () => save(name, picture) }, "Save as SVG"));
}

// A text as buttons, one a token. much: 0 to 1 for each, drawn as the thickness of its underline.
export function tokenLine(tokens, { much = [], pick, pressed = -1, ids = false, say } = {}) {
  return make("p", { class: "text-line" }, ...tokens.map((token, i) => {
    const button = make("button", {
      type: "button", class: "tok", "aria-pressed": String(i === pressed),
      onclick: () => pick?.(i), title: say?.(i),
    }, visible(token.text), ids ? make("small", {}, String(token.id)) : null);
    if (much[i] !== undefined) button.style.setProperty("--much", Math.min(1, much[i]).toFixed(2));
    return button;
  }));
}
