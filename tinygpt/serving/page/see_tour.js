import { make } from "/page/draw.js";
import { link } from "/page/place.js";

export const title = "Tour";
export const about = "Ten stops, for half an hour without a teacher. Each opens the screen it speaks "
  + "of; the browser's back button brings you here again.";

const BEGINNING = 16; // characters of the example that a model is to go on from
const STOPS = [
  ["Numbers, not letters", "A model never sees a letter. Your text is cut into pieces that were "
    + "common in what it learned from, and each is a number. Choose one, then make the vocabulary "
    + "smaller.", { screen: "tokens" }],
  ["One question, asked again and again", "All it does is guess the next piece. Where it was "
    + "surprised the line is thick: names it could not know, choices of the story.",
  { screen: "next" }],
  ["Play against it", "Open \"Guess first\" and say what comes next and how sure you are. Being "
    + "surely wrong costs most: that is what a loss in bits means.", { screen: "next" }],
  ["Hot and cold", "Divide the scores by 0.3 and the likeliest takes nearly all; by 1.5 and the "
    + "unlikely have a chance. The model is the same.",
  { screen: "next", temperature: "0.3" }],
  ["Writing is drawing lots", "Each piece is drawn from those probabilities. Choose one that was "
    + "drawn, and take another in its place: the story goes elsewhere.",
  { screen: "write" }],
  ["Where it looks", "A head looks from each word back to others. Some have plain habits: the word "
    + "before, the first word, what followed the last time.", { screen: "attention" }],
  ["Take one away", "Switch a head off. Most are hardly missed; some are. That is an experiment, "
    + "which a picture of weights alone is not.",
  { screen: "attention", head: "0.0", off: "0.0" }],
  ["Before it is done thinking", "After each layer the guess can be read. See where the answer "
    + "appears, and who wrote it.", { screen: "lens" }],
  ["Words as places", "Words that do the same work end up near each other. Nobody told it which "
    + "do.", { screen: "embeddings" }],
  ["How it came to be", "Every checkpoint is a model. Move the slider to the first one and go back "
    + "through the tour: the same screens, before it knew.", { screen: "training" }],
];

export async function show(side, place) {
  const story = side.info.example;
  const plain = { off: "", head: "", at: "", row: "", token: "", temperature: "", top_k: "", top_p: "" };
  place.append(make("ol", {}, ...STOPS.map(([name, words, where]) => make(
    "li", {}, make("h3", {}, link({
      ...plain, text: where.screen === "write" ? story.slice(0, BEGINNING) : story, ...where,
    }, name)), make("p", {}, words),
  ))));
}
