/** Asks a page of figures every few seconds, as long as somebody looks, and comes back by itself. */

export class Over extends Error {} // asking again would not help

/** One question at a time. `onSilence` is called when an answer is late, or there is none. */
export class Poll {
  #ask;
  #handlers;
  #times;
  #timer;
  #isAsking = false;
  #isWatched = false;

  constructor(ask, { onAnswer, onSilence, onOver }, times = {}) {
    this.#ask = ask;
    this.#handlers = { onAnswer, onSilence, onOver };
    this.#times = { every: 2_000, late: 4_000, patience: 15_000, ...times };
  }

  /** Whether somebody looks. Whoever looks again is told at once. */
  watch(isWatched) {
    this.#isWatched = isWatched;
    clearTimeout(this.#timer);
    if (isWatched) this.#askOnce();
  }

  async #askOnce() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { every, late, patience } = this.#times;
    const { onAnswer, onSilence, onOver } = this.#handlers;
    const gaveUp = new AbortController();
    const timers = [setTimeout(onSilence, late), setTimeout(() => gaveUp.abort(), patience)];
    try {
      onAnswer(await this.#ask(gaveUp.signal));
    } catch (error) {
      if (error instanceof Over) {
        this.#isWatched = false;
        onOver();
      } else {
        onSilence(error);
      }
    } finally {
      timers.forEach(clearTimeout);
      this.#isAsking = false;
    }
    if (this.#isWatched) this.#timer = setTimeout(() => this.#askOnce(), every);
  }
}

/** Ask over HTTP for JSON. */
export async function fetched(url, signal) {
  const response = await fetch(url, { signal, redirect: "manual", cache: "no-store" });
  if (response.type === "opaqueredirect" || response.status === 403) throw new Over();
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}
