// How far this page has applied each room: decides whether a frame is applied, ignored or asks for a resume, and acknowledges.

const LIVE_PAUSE = 1000;

/**
 * `acknowledge(cursors)` sends {room: rev} and answers whether it could; `clock` has now, setTimeout and clearTimeout.
 * The verdict on a frame is "apply", "ignore" or "resume": ask the server for what is missing in that room.
 */
export class Cursors {
  #clock;
  #acknowledge;
  #epoch;
  #applied = new Map();
  #resuming = new Map();
  #unacknowledged = new Set();
  #acknowledgedAt = -Infinity;
  #timer = null;

  constructor({ clock, acknowledge }) {
    this.#clock = clock;
    this.#acknowledge = acknowledge;
  }

  /** Everything we have, for the first frame of a connection. Whatever was being resumed died with the last one. */
  everything() {
    this.#resuming.clear();
    for (const room of this.#applied.keys()) this.#resuming.set(room, null);
    return {
      ...(this.#applied.size > 0 && { cursors: Object.fromEntries(this.#applied) }),
      ...(this.#epoch && { epoch: this.#epoch }),
    };
  }

  /** Where one room stands, for a resume of it alone. Until it ends, further gaps in that room ask for nothing. */
  resume(room) {
    const attempt = {};
    this.#resuming.set(room, attempt);
    const ended = () => {
      if (this.#resuming.get(room) === attempt) this.#resuming.delete(room);
    };
    return { cursors: { [room]: this.#applied.get(room) }, ended };
  }

  /** True if the server tells another history than the one we followed: then nothing we have counts. */
  welcome({ epoch, rooms = [] }) {
    const changed = this.#epoch !== undefined && this.#epoch !== epoch;
    if (changed) {
      this.#applied.clear();
      this.#resuming.clear();
      this.#unacknowledged.clear();
    }
    this.#epoch = epoch;
    for (const room of rooms) this.room(room);
    this.#acknowledgeSoon();
    return changed;
  }

  room({ room, delivered_rev, left }) {
    if (left) {
      this.#applied.delete(room);
      this.#resuming.delete(room);
      this.#unacknowledged.delete(room);
    } else if (!this.#applied.has(room)) {
      this.#applied.set(room, delivered_rev);
    }
  }

  synced() {
    for (const [room, attempt] of this.#resuming) if (attempt === null) this.#resuming.delete(room);
  }

  message({ room, rev }) {
    const applied = this.#applied.get(room);
    if (applied === undefined || rev <= applied) return "ignore";
    if (rev > applied + 1) return this.#gap(room);
    this.#advance(room, rev);
    this.#acknowledgeSoon();
    return "apply";
  }

  replay({ room, after, upto, reset }) {
    const applied = this.#applied.get(room);
    if (applied === undefined) return "ignore";
    if (after > applied && !reset) return this.#gap(room);
    this.#advance(room, reset ? upto : Math.max(applied, upto));
    this.#acknowledgeNow();
    return "apply";
  }

  #gap(room) {
    return this.#resuming.has(room) ? "ignore" : "resume";
  }

  #advance(room, rev) {
    this.#applied.set(room, rev);
    this.#unacknowledged.add(room);
  }

  #acknowledgeSoon() {
    if (this.#timer !== null || this.#unacknowledged.size === 0) return;
    const pause = Math.max(0, this.#acknowledgedAt + LIVE_PAUSE - this.#clock.now());
    this.#timer = this.#clock.setTimeout(() => this.#acknowledgeNow(), pause);
  }

  #acknowledgeNow() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
    const cursors = [...this.#unacknowledged].map((room) => [room, this.#applied.get(room)]);
    this.#acknowledgedAt = this.#clock.now();
    // Unsent, they stay and go out after the next welcome.
    if (cursors.length > 0 && this.#acknowledge(Object.fromEntries(cursors))) this.#unacknowledged.clear();
  }
}
