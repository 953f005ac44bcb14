import { bars, make, percent, tokenLine } from "/page/draw.js";
import { go } from "/page/place.js";

export const title = "Gaps";
export const about = "An encoder sees what stands before and behind. It learned by having tokens "
  + "hidden from it: choose one to hide, and see what the model puts there.";

export async function show(side, place, now) {
  if (!side.info.masked) {
    place.append(make("p", {}, "This model fills no gaps: it is no encoder that learned so. "
      + "Choose one, or look at what it expects next."));
    return;
  }
  const text = now.text ?? "";
  const { tokens } = await side.ask("tokens", { text });
  const at = Math.min(Number(now.at ?? 1), tokens.length - 1);
  place.append(tokenLine(tokens, { pressed: at, pick: (i) => go({ at: i }) }));
  const found = await side.ask("hidden", { text, position: at });
  place.append(make("h3", {}, `In the place of "${tokens[at].text}"`),
    bars(found.candidates.map((token, i) => ({
      name: token.text, value: found.before[i], words: percent(found.before[i]),
    })), "The likeliest tokens"));
}
