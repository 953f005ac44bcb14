// Conversations stay in this browser, and nowhere else.

import { Talk } from "/page/talk.js";

const PREFIX = "tinygpt:talk:";

function values(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null; // written by another program, or half
  }
}

// All of them, the one that was changed last first.
export function all() {
  const found = [];
  for (let i = 0; i < localStorage.length; i++) {
    const key = localStorage.key(i);
    const kept = key.startsWith(PREFIX) ? values(key) : null;
    if (kept?.nodes?.root) found.push(kept);
  }
  return found.sort((a, b) => b.changed - a.changed).map((kept) => Talk.from(kept));
}

// Whether there was room.
export function save(talk) {
  try {
    localStorage.setItem(PREFIX + talk.id, JSON.stringify({ ...talk, changed: Date.now() }));
    return true;
  } catch {
    return false;
  }
}

export function remove(talk) {
  localStorage.removeItem(PREFIX + talk.id);
}

// The key and the settings.
export function get(name) {
  return values(`tinygpt:${name}`);
}

export function set(name, value) {
  try {
    localStorage.setItem(`tinygpt:${name}`, JSON.stringify(value));
  } catch {
    // Without room it is asked for again.
  }
}
