// The members of a room that is too large to tell of them all: asked for page by page, when somebody wants to see them.

import { inOrder } from "./people.js";

/** `ask(room, after)` promises {members, more}; `onchange()` after more are known, or asking has failed. */
export class Roll {
  #edges;
  #room = null;
  #pages = [];
  #more = true;
  #asking = null;

  constructor({ ask, onchange }) {
    this.#edges = { ask, onchange };
  }

  /** Turns to a room, from its first page on, unless it is turned there already; to none for null. */
  turn(room) {
    if (room === this.#room) return;
    this.#room = room;
    this.#pages = [];
    this.#more = true;
    this.#asking = null;
    if (room !== null) this.next();
  }

  get more() {
    return this.#more && this.#asking === null;
  }

  /** Who is known by now: [{user, role, presence}], in each page who is online first. */
  get members() {
    return this.#pages.flatMap((page) => inOrder(page));
  }

  async next() {
    if (!this.more) return;
    const mine = (this.#asking = {});
    const last = this.#pages.at(-1)?.at(-1).user;
    try {
      const { members, more } = await this.#edges.ask(this.#room, last);
      if (this.#asking !== mine) return;
      if (members.length > 0) this.#pages.push(members.map(({ user, role, online }) => ({ user, role, presence: { online } })));
      this.#more = Boolean(more);
    } catch {
      // It can be asked for again.
    }
    if (this.#asking === mine) this.#asking = null;
    this.#edges.onchange();
  }
}
