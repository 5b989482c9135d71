// Asks the server while somebody types: once they pause, and only the answer to their latest words counts.

const PAUSE = 150;

/** `ask(query)` promises an answer, `onanswer(answer, query)` gets that of the latest query, `onerror(error)` its failure. */
export class Search {
  #edges;
  #timer = null;
  #latest = null;

  constructor({ clock, ask, onanswer, onerror = () => {} }) {
    this.#edges = { clock, ask, onanswer, onerror };
  }

  /** Soon; the answers that are still outstanding are not wanted any more. */
  for(query) {
    this.forget();
    this.#timer = this.#edges.clock.setTimeout(() => this.#ask(query), PAUSE);
  }

  /** Nothing is wanted any more. */
  forget() {
    this.#edges.clock.clearTimeout(this.#timer);
    this.#latest = null;
  }

  async #ask(query) {
    const { ask, onanswer, onerror } = this.#edges;
    const mine = (this.#latest = {});
    try {
      const answer = await ask(query);
      if (this.#latest === mine) onanswer(answer, query);
    } catch (error) {
      if (this.#latest === mine) onerror(error);
    }
  }
}
