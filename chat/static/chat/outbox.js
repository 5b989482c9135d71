// What this person has sent and nobody has confirmed yet: kept over reloads, sent again under the same id until it is answered.

import { isTemporary } from "./connection.js";

const ANSWER_WITHIN = 15_000;
const PAUSE = 2_000;

/** A random UUID, also on pages without a secure context (plain http in a local network), where randomUUID is missing. */
export function clientId(crypto = globalThis.crypto) {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * `storage` has all, put, delete and onremoved (another tab's removals); `post(item)` resolves when the item is committed or
 * rejects with {code, message, retryAfter}; `onchange(items)` gets the items: {id, room, body, at, state, until?, code?, detail?} where
 * state is "sending" or "failed", and `until` when the server wants to be asked again; `onfailed(item)` gets one that it will not have.
 * One item per room is in flight: whatever happens to it, the ones behind it cannot overtake.
 */
export class Outbox {
  #items = [];
  #inFlight = new Map();
  #live = false;
  #edges;

  constructor(edges) {
    this.#edges = edges;
    edges.storage.onremoved((id) => this.#forget(id));
  }

  /** Takes in what earlier pages of this person left behind. */
  async load() {
    // While it reads, one that is known may be answered, and another read may bring one.
    const known = new Set(this.#items.map(({ id }) => id));
    const left = (await this.#edges.storage.all()).filter(({ id }) => !known.has(id) && !this.#find(id));
    if (left.length === 0) return;
    this.#items = [...this.#items, ...left].sort((a, b) => a.at - b.at);
    this.#changed();
  }

  /** The connection is live: everything unanswered goes out again. */
  async resume() {
    this.#live = true;
    await this.load();
    for (const { room } of this.#items) this.#sendNext(room);
  }

  /** The connection is gone, and with it every answer. */
  pause() {
    this.#live = false;
    for (const room of this.#inFlight.keys()) this.#release(room);
  }

  add(room, body) {
    const { clock, newId } = this.#edges;
    const last = this.#items.at(-1)?.at ?? 0;
    const item = { id: newId(), room, body, at: Math.max(clock.now(), last + 1), state: "sending" };
    this.#items = [...this.#items, item];
    this.#edges.storage.put(item);
    this.#changed();
    this.#sendNext(room);
    return item;
  }

  retry(id) {
    this.#update(id, { state: "sending", code: undefined, detail: undefined });
    const item = this.#find(id);
    if (item) this.#sendNext(item.room);
  }

  /** The item is committed, or its author gave it up: it leaves, here and in the other tabs. */
  remove(id) {
    if (this.#find(id)) this.#edges.storage.delete(id);
    this.#forget(id);
  }

  #forget(id) {
    const item = this.#find(id);
    if (!item) return;
    this.#items = this.#items.filter((other) => other !== item);
    if (this.#inFlight.get(item.room)?.id === id) this.#release(item.room);
    this.#changed();
    this.#sendNext(item.room);
  }

  #sendNext(room) {
    if (!this.#live || this.#inFlight.has(room)) return;
    const item = this.#items.find((other) => other.room === room && other.state === "sending");
    if (!item) return;
    const attempt = { id: item.id };
    this.#inFlight.set(room, attempt);
    this.#tryAgainAfter(ANSWER_WITHIN, room, attempt);
    this.#edges.post(item).then(
      () => this.remove(item.id),
      (error) => this.#inFlight.get(room) === attempt && this.#refused(item, attempt, error),
    );
  }

  #refused({ id, room }, attempt, error) {
    const { code, message, retryAfter } = error;
    if (code === "disconnected") return;
    if (isTemporary(error)) return this.#wait(id, room, attempt, retryAfter ?? PAUSE);
    this.#release(room);
    this.#update(id, { state: "failed", code, detail: message });
    this.#edges.onfailed(this.#find(id));
    this.#sendNext(room);
  }

  // Only this page waits: after a reload the server says it again, by its own clock.
  #wait(id, room, attempt, ms) {
    this.#replace(id, { until: this.#edges.clock.now() + ms });
    this.#tryAgainAfter(ms, room, attempt);
  }

  #tryAgainAfter(ms, room, attempt) {
    const { clock } = this.#edges;
    clock.clearTimeout(attempt.timer);
    attempt.timer = clock.setTimeout(() => {
      this.#release(room);
      this.#sendNext(room);
    }, ms);
  }

  #release(room) {
    const attempt = this.#inFlight.get(room);
    this.#edges.clock.clearTimeout(attempt?.timer);
    this.#inFlight.delete(room);
    if (this.#find(attempt?.id)?.until) this.#replace(attempt.id, { until: undefined });
  }

  #find(id) {
    return this.#items.find((item) => item.id === id);
  }

  #update(id, change) {
    const updated = this.#replace(id, change);
    if (updated) this.#edges.storage.put(updated);
  }

  #replace(id, change) {
    const item = this.#find(id);
    if (!item) return undefined;
    const updated = { ...item, ...change };
    this.#items = this.#items.map((other) => (other === item ? updated : other));
    this.#changed();
    return updated;
  }

  #changed() {
    this.#edges.onchange(this.#items);
  }
}
