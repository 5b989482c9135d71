// What a WebSocket did, line by line: as much of it as one wants to scroll through, and as text to be kept.

export const MOST = 1_000; // entries

const clock = (at) => `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, "0")}`;

/** The frames of a message, each spread over lines that a person can read; what is no JSON stays as it is. */
export const pretty = (data) => data.split("\n").map(spread).join("\n");

function spread(line) {
  try {
    return JSON.stringify(JSON.parse(line), null, 2);
  } catch {
    return line;
  }
}

/** What a close event tells. */
export const closing = ({ code, reason, wasClean }) => `code ${code} · reason ${JSON.stringify(reason)} · wasClean ${wasClean}`;

/** The newest MOST entries, each {key, time, kind, data} in order; kind is open · message · error · close, or send · exception for what was asked of it. */
export class Transcript {
  #entries = [];
  #count = 0;
  #now;

  constructor(now = () => new Date()) {
    this.#now = now;
  }

  get entries() {
    return this.#entries;
  }

  add(kind, data = "") {
    this.#entries.push({ key: String(++this.#count), time: clock(this.#now()), kind, data });
    if (this.#entries.length > MOST) this.#entries.shift();
  }

  clear() {
    this.#entries = [];
  }

  toString() {
    return this.#entries.map(({ time, kind, data }) => `${time} ${kind} ${data}`.trimEnd()).join("\n");
  }
}
