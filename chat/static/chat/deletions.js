// What this person deletes: gone from sight at once, told to the server a little later, and until then it can be undone.

import { isTemporary } from "./connection.js";

const UNDO_WITHIN = 6_000;
const HEARD_WITHIN = 1_000;
const PAUSE = 2_000;

/**
 * `memory` has get(key), set(key, words) and onchange(callback): what is not told yet outlives the page and is the same in all tabs.
 * `tell({room, seq})` resolves when the server has it or rejects with {code, retryAfter}; `onchange()` after one began or ended;
 * `onrefused(error)` when the server lets one stand.
 */
export class Deletions {
  #edges;
  #items = new Map(); // by room and seq: {room, seq, due, ours, timer, told}
  #veils = new WeakMap();
  #live = false;

  constructor({ me, ...edges }) {
    this.#edges = { ...edges, key: me };
    this.#recall(edges.memory.get(me));
    edges.memory.onchange((key, words) => {
      if (key !== me) return;
      this.#recall(words);
      edges.onchange();
    });
  }

  begin(room, seq) {
    this.#take({ room, seq, due: this.#edges.clock.now() + UNDO_WITHIN, ours: true });
    this.#keep();
  }

  undo(room, seq) {
    this.#end(this.#items.get(name(room, seq)));
  }

  /** Nobody will undo it any more: the page or the room is left. What another tab began may still be undone there. */
  hurry(room) {
    const now = this.#edges.clock.now();
    for (const item of this.#items.values()) {
      if (!item.ours || (room !== undefined && room !== item.room)) continue;
      item.due = Math.min(item.due, now);
      this.#tell(item);
    }
  }

  resume() {
    this.#live = true;
    for (const item of this.#items.values()) this.#schedule(item, item.due - this.#edges.clock.now());
  }

  /** The connection is gone, and with it every answer. */
  pause() {
    this.#live = false;
    for (const item of this.#items.values()) item.told = false;
  }

  /** The messages as their author is to see them: what is being deleted has `deleting`, {undo}: whether that may be undone. */
  veil(room, messages) {
    if (this.#items.size === 0) return messages;
    return messages.map((message) => this.#veiled(message, this.#items.get(name(room, message.seq))));
  }

  // The same copy each time: a row is drawn again when what it shows is another object.
  #veiled(message, item) {
    if (!item || message.deleted) return message;
    const before = this.#veils.get(message);
    if (before?.deleting.undo === !item.told) return before;
    const veiled = { ...message, deleting: { undo: !item.told } };
    this.#veils.set(message, veiled);
    return veiled;
  }

  #take(item) {
    if (this.#items.has(name(item.room, item.seq))) return;
    this.#items.set(name(item.room, item.seq), item);
    this.#schedule(item, item.due - this.#edges.clock.now());
  }

  #schedule(item, ms) {
    const { clock } = this.#edges;
    clock.clearTimeout(item.timer);
    item.timer = clock.setTimeout(() => this.#tell(item), Math.min(Math.max(0, ms), UNDO_WITHIN));
  }

  #tell(item) {
    if (!this.#live || item.told) return;
    item.told = true;
    this.#edges.onchange();
    this.#edges.tell(item).then(
      // The room hears of it by a message of its own, which may come a little later.
      () => this.#edges.clock.setTimeout(() => this.#end(item), HEARD_WITHIN),
      (error) => this.#refused(item, error),
    );
  }

  #refused(item, error) {
    if (error.code === "disconnected") return;
    if (isTemporary(error)) {
      item.told = false;
      this.#schedule(item, error.retryAfter ?? PAUSE);
    } else {
      this.#end(item);
      if (error.code !== "not_found") this.#edges.onrefused(error);
    }
  }

  #end(item) {
    this.#forget(item);
    this.#keep();
  }

  #forget(item) {
    if (!item) return;
    this.#edges.clock.clearTimeout(item.timer);
    this.#items.delete(name(item.room, item.seq));
  }

  #keep() {
    const items = [...this.#items.values()].map(({ room, seq, due }) => ({ room, seq, due }));
    this.#edges.memory.set(this.#edges.key, items.length > 0 ? JSON.stringify(items) : "");
    this.#edges.onchange();
  }

  // What another tab took back, or has seen done, ends here too.
  #recall(words) {
    const kept = parsed(words);
    const names = new Set(kept.map(({ room, seq }) => name(room, seq)));
    for (const [known, item] of this.#items) if (!names.has(known)) this.#forget(item);
    for (const item of kept) this.#take(item);
  }
}

const name = (room, seq) => `${room} ${seq}`;

function parsed(words) {
  try {
    return JSON.parse(words || "[]").filter((item) => typeof item?.room === "string" && Number.isInteger(item.seq) && Number.isFinite(item.due));
  } catch {
    return [];
  }
}
