// What has become of this page's connections, for a person who asks for help: it changes nothing and decides nothing.

const TRIPS = 5;

export class ConnectionLog {
  /** The worker that serves us, as the server calls it; since when, in ms; how often we came back; and how the last one ended. */
  worker;
  since = null;
  returns = 0;
  lastEnd = null;
  #wasLive = false;
  #trips = [];

  /** Hears every status of the connection. */
  note({ state, code, reason }, now) {
    if (state === "live") {
      if (this.#wasLive) this.returns++;
      this.#wasLive = true;
      this.since = now;
      return;
    }
    if (this.since !== null) this.#trips = [];
    this.since = null;
    if (state !== "connecting" && code !== undefined) this.lastEnd = { code, reason, at: now };
  }

  /** A ping and its pong took so many ms. */
  trip(ms) {
    this.#trips = [...this.#trips, ms].slice(-TRIPS);
  }

  /** Of the last few, in ms; undefined before the first. */
  get latency() {
    const sorted = this.#trips.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  }
}
