import { make, tokenLine, visible } from "/page/draw.js";

export const title = "Tokens";
export const about = "A model reads no letters: it reads numbers, each a piece of text that was "
  + "common where the tokenizer was trained. Choose a piece to see what it was merged from, and "
  + "make the vocabulary smaller to see the merges undone.";

function tree(node) {
  return make("ul", { class: "tree" }, make(
    "li", {}, make("code", {}, `${visible(node.text)}  (${node.id})`), ...node.parts.map(tree),
  ));
}

export async function show(side, place, { text }) {
  const found = await side.ask("tokens", { text: text ?? "" });
  const detail = make("div", { role: "status" });
  const line = make("div");
  const draw = (tokens, pressed) => line.replaceChildren(tokenLine(tokens, {
    ids: true, pressed, say: (i) => `id ${tokens[i].id}, bytes ${tokens[i].bytes}`,
    pick: (i) => {
      draw(tokens, i);
      const token = tokens[i];
      const grown = found.trees[token.id];
      detail.replaceChildren(
        make("p", {}, `Id ${token.id}, bytes ${token.bytes.replace(/../g, "$& ")}`),
        grown ? tree(grown) : make("p", {}, "It was not merged from others."),
      );
    },
  }));
  draw(found.tokens);
  const count = found.tokens.length;
  const used = make("p", {}, `${count} tokens of ${new TextEncoder().encode(text ?? "").length} `
    + `bytes; the context holds ${found.context}.`);
  place.append(used, line, detail);
  if (side.info.merges) place.append(await smaller(side, text ?? "", draw));
}

async function smaller(side, text, draw) {
  const most = 256 + side.info.merges;
  const shown = make("output", {}, String(most));
  const slider = make("input", { type: "range", min: 256, max: most, value: most });
  slider.addEventListener("input", async () => {
    const found = await side.ask("merges", { text, size: Number(slider.value) });
    shown.textContent = `${found.size}: ${found.tokens.length} tokens`;
    draw(found.tokens);
  });
  return make("label", {}, "Size of the vocabulary ", slider, " ", shown);
}
