// How this person wants the chat, on every device: the server keeps it. What was chosen without a connection is kept here until it is saved.

import { isTemporary } from "./connection.js";

const PENDING = "preferences";

export const DEFAULTS = { theme: "", language: "", enter_sends: true, hide_receipts: false, hide_typing: false, hide_presence: false };

/**
 * `saved` is what the server has, `remembered` what this browser does of somebody of whom the server has nothing; `memory` outlives the page (get and set of a string); `tell(changes)` resolves with the server's
 * answer or rejects with {code}; `onchange(all, before)` after a preference became another one.
 */
export class Preferences {
  #saved;
  #remembered;
  #pending;
  #edges;

  constructor({ saved = {}, remembered = {}, memory, tell, onchange = () => {} }) {
    this.#remembered = remembered;
    this.#hold(saved);
    this.#pending = parsed(memory.get(PENDING));
    this.#edges = { memory, tell, onchange };
  }

  /** All of them, as they are to be in force now. */
  get all() {
    return { ...this.#saved, ...this.#pending };
  }

  get(name) {
    return this.all[name];
  }

  /** As the server has it, or this browser. */
  saved(name) {
    return this.#saved[name];
  }

  /** Whether something is chosen that the server does not have yet. */
  get isPending() {
    return Object.keys(this.#pending).length > 0;
  }

  /** Takes effect at once. Resolves with whether the server has it; if not, it will be told when it is back. */
  choose(changes) {
    this.#become(() => this.#keep({ ...this.#pending, ...changes }));
    return this.save();
  }

  /** Tells the server what it does not have; rejects with what it refuses, which is then as it was before. */
  async save() {
    const changes = this.#pending;
    if (!this.isPending) return true;
    try {
      // What the browser remembers counts until the server has something: it goes along with the first choice.
      const answer = await this.#edges.tell({ ...this.#remembered, ...changes });
      this.#remembered = {};
      this.hear(answer, changes);
      return true;
    } catch (error) {
      if (error.code === "disconnected" || isTemporary(error)) return false;
      this.#become(() => this.#settle(changes));
      throw error;
    }
  }

  /** The server tells what it has: in its `welcome`, as an answer to `changes`, or because another device chose. */
  hear({ preferences }, changes = {}) {
    if (!preferences) return;
    this.#become(() => {
      this.#hold(preferences);
      this.#settle(changes);
    });
  }

  #hold(preferences) {
    const told = { ...DEFAULTS, ...preferences };
    if (Object.keys(DEFAULTS).some((name) => told[name] !== DEFAULTS[name])) this.#remembered = {};
    this.#saved = { ...told, ...this.#remembered };
  }

  // What was chosen once more since it was sent is still to be told.
  #settle(changes) {
    this.#keep(Object.fromEntries(Object.entries(this.#pending).filter(([name, value]) => changes[name] !== value)));
  }

  #keep(pending) {
    this.#pending = pending;
    this.#edges.memory.set(PENDING, this.isPending ? JSON.stringify(pending) : "");
  }

  #become(change) {
    const before = this.all;
    change();
    const { all } = this;
    if (Object.keys(all).some((name) => all[name] !== before[name])) this.#edges.onchange(all, before);
  }
}

function parsed(words) {
  try {
    const kept = Object.entries(JSON.parse(words || "{}"));
    return Object.fromEntries(kept.filter(([name, value]) => typeof value === typeof DEFAULTS[name]));
  } catch {
    return {};
  }
}
