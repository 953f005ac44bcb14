// Sections that hold all the words asked for; those with a word in their heading come first.
"use strict";
const form = document.querySelector("form");
const asked = document.querySelector("#asked");

function matching(words) {
  const found = [];
  for (const [address, page, section, text] of WORDS) {
    const heading = `${page} ${section}`.toLowerCase();
    const whole = `${heading} ${text.toLowerCase()}`;
    if (!words.every((word) => whole.includes(word))) continue;
    const named = words.filter((word) => heading.includes(word)).length;
    found.push({ address, page, section, text, named });
  }
  return found.sort((a, b) => b.named - a.named);
}

function shown({ address, page, section, text }, word) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = address;
  link.textContent = section === page ? page : `${page}: ${section}`;
  const at = Math.max(0, text.toLowerCase().indexOf(word) - 60);
  const around = document.createElement("p");
  around.textContent = `... ${text.slice(at, at + 180)} ...`;
  item.append(link, around);
  return item;
}

function search() {
  const words = asked.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? matching(words) : [];
  document.querySelector("#count").textContent = words.length ? `${found.length} sections` : "";
  document.querySelector("#found").replaceChildren(
    ...found.slice(0, 50).map((one) => shown(one, words[0])),
  );
}

asked.value = decodeURIComponent(location.hash.slice(1));
asked.addEventListener("input", search);
form.addEventListener("submit", (event) => event.preventDefault());
search();
