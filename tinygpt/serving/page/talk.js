// A conversation is a tree: to edit a message or to ask again is to grow a branch beside it, and
// nothing that was said is lost. What is shown is the path along the chosen branches.

export class Talk {
  constructor(id = crypto.randomUUID?.() ?? String(Date.now() + Math.random())) {
    this.id = id;
    this.nodes = { root: { id: "root", children: [], chosen: null } };
    this.count = 0;
  }

  add(parent, role, content, more = {}) {
    const id = String(++this.count);
    this.nodes[id] = { id, parent, role, content, children: [], chosen: null, ...more };
    this.nodes[parent].children.push(id);
    this.nodes[parent].chosen = id;
    return this.nodes[id];
  }

  // The messages that are shown, oldest first.
  path() {
    const found = [];
    for (let id = this.nodes.root.chosen; id !== null; id = this.nodes[id].chosen) {
      found.push(this.nodes[id]);
    }
    return found;
  }

  get last() {
    return this.path().at(-1)?.id ?? "root";
  }

  // What a model is told so that it speaks after a message.
  messages(id) {
    const found = [];
    for (; id !== "root"; id = this.nodes[id].parent) {
      const { role, content } = this.nodes[id];
      found.unshift({ role, content });
    }
    return found;
  }

  // Which of its versions a message is, from 0, and how many there are.
  version(node) {
    const all = this.nodes[node.parent].children;
    return [all.indexOf(node.id), all.length];
  }

  choose(node, step) {
    const all = this.nodes[node.parent].children;
    this.nodes[node.parent].chosen = all[all.indexOf(node.id) + step];
  }

  get title() {
    return this.path().find((node) => node.role === "user")?.content.slice(0, 60) || "Empty";
  }

  static from(values) {
    const found = new Talk(values.id);
    found.nodes = values.nodes;
    found.count = values.count;
    return found;
  }
}
