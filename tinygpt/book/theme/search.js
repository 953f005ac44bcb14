// Sections that hold all the words asked for; those with a word in their heading come first.
"use strict";
const asked = new URLSearchParams(location.search).get("q") || "";
const words = asked.toLowerCase().split(/\s+/).filter(Boolean);
const found = [];
for (const [address, page, section, text] of words.length ? WORDS : []) {
  const heading = `${page} ${section}`.toLowerCase();
  const whole = `${heading} ${text.toLowerCase()}`;
  if (!words.every((word) => whole.includes(word))) continue;
  const named = words.filter((word) => heading.includes(word)).length;
  found.push({ address, page, section, text, named });
}
found.sort((a, b) => b.named - a.named);
document.querySelector("#asked").value = asked;
const count = document.querySelector("#count");
count.textContent = words.length ? `${found.length} sections` : "";
for (const one of found.slice(0, 50)) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = one.address;
  link.textContent = one.section === one.page ? one.page : `${one.page}: ${one.section}`;
  const at = Math.max(0, one.text.toLowerCase().indexOf(words[0]) - 60);
  const around = document.createElement("p");
  around.textContent = `... ${one.text.slice(at, at + 180)} ...`;
  item.append(link, around);
  document.querySelector("#found").append(item);
}
