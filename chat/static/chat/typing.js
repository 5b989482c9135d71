// Who is writing at this moment, and telling the others that oneself is.

const SAID_EVERY = 3_000;
const LASTS = 6_000;

/** `say(room)` tells the server and answers whether it could; `onchange()` after somebody began or ended. */
export class Typing {
  #edges;
  #saidAt = new Map();
  #typists = new Map();

  constructor({ clock, say, onchange }) {
    this.#edges = { clock, say, onchange };
  }

  /** This person has changed what they are about to say. */
  type(room) {
    const now = this.#edges.clock.now();
    if (now - (this.#saidAt.get(room) ?? -Infinity) < SAID_EVERY) return;
    if (this.#edges.say(room)) this.#saidAt.set(room, now);
  }

  /** Somebody else types, for as long as that holds without being said again. */
  hear(room, user) {
    const here = this.#typists.get(room) ?? new Map();
    this.#edges.clock.clearTimeout(here.get(user));
    this.#typists.set(room, here.set(user, this.#edges.clock.setTimeout(() => this.end(room, user), LASTS)));
    this.#edges.onchange();
  }

  /** What they typed has come, or they gave it up. */
  end(room, user) {
    const here = this.#typists.get(room);
    if (!here?.has(user)) return;
    this.#edges.clock.clearTimeout(here.get(user));
    here.delete(user);
    this.#edges.onchange();
  }

  /** The connection is gone: nobody can be heard. */
  forget() {
    for (const here of this.#typists.values()) for (const timer of here.values()) this.#edges.clock.clearTimeout(timer);
    this.#typists.clear();
  }

  /** Usernames, who began first first. */
  in(room) {
    return [...(this.#typists.get(room)?.keys() ?? [])];
  }
}
