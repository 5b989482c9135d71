// The life of one WebSocket: opens it, hears when it has died, comes back. It knows no rooms and no page.

const PROTOCOL = "chat.v1.json";
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 20_000;
const WELCOME_WITHIN = 10_000;
const PROBE_ANSWER_WITHIN = 5_000;
const HEARTBEAT = 15_000;
// A connection that lived this long proves the server well; shorter ones keep the back-off growing,
// or a server that dies right after each welcome would be stormed.
const STEADY_AFTER = 5_000;
const LOGGED_OUT = 4501;
const BANNED = 4503;

/** A request that got no answer, or an `error` frame for one. `code` is the frame's, or "disconnected". */
export class RequestError extends Error {
  constructor({ code, detail = code, retry_after_ms }) {
    super(detail);
    this.code = code;
    this.retryAfter = retry_after_ms;
  }
}

/** Whether it is worth another try a little later. */
export const isTemporary = ({ code }) => code === "rate_limited" || code === "unavailable";

/** Whether nothing that this person does brings the connection back. Whoever was only kicked hears of no end to it. */
export const isBanned = ({ state, code, until }, now = Date.now()) => state === "stopped" && code === BANNED && until > now;

const mayReturn = (code) => code < 4500 || code > 4999;

/**
 * `connect(protocol)` makes a WebSocket; `clock` has now, setTimeout and clearTimeout; `random` and `online` are functions.
 * `onopen()` sends the first frame; `onframe(frame, request)` gets every frame, an answer with the request it answers.
 * `onstatus(status)` gets {state, until?, code?, reason?} where state is one of
 * connecting · live · waiting · offline (both come back at `until`, in ms) · logged_out · stopped (both wait for a person; a ban `until`).
 * `code` and `reason` are those of the connection that is gone.
 */
export class Connection {
  #edges;
  #socket = null;
  #status = { state: "stopped" };
  #queue = [];
  #requests = new Map();
  #lastRef = 0;
  #failures = 0;
  #liveSince = null;
  #heardAt = 0;
  #heartbeat = HEARTBEAT;
  #limit = 65_536;
  #bye = null;
  #silence = null;
  #pause = null;

  constructor(edges) {
    this.#edges = edges;
  }

  get status() {
    return this.#status;
  }

  open() {
    const { clock, connect } = this.#edges;
    clock.clearTimeout(this.#pause);
    this.#drop();
    const { code, reason } = this.#status;
    this.#become({ state: "connecting", code, reason });
    const socket = connect(PROTOCOL);
    this.#socket = socket;
    this.#expectWithin(WELCOME_WITHIN);
    socket.onopen = () => this.#edges.onopen();
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  /** For good: these are no longer the person's credentials. */
  leave() {
    this.#edges.clock.clearTimeout(this.#pause);
    this.#drop();
    this.#become({ state: "logged_out", code: LOGGED_OUT });
  }

  /** A person asks: come back whatever the reason was. */
  retry() {
    if (!["live", "connecting"].includes(this.#status.state)) this.open();
  }

  /** The network is back or the page is seen again: return at once, or find out soon that a silent connection is dead. */
  wake() {
    const { state } = this.#status;
    // Whoever was logged out may have logged in again, in another tab.
    if (["waiting", "offline", "logged_out"].includes(state)) this.open();
    if (state !== "live") return;
    if (this.#edges.clock.now() - this.#heardAt > 2 * this.#heartbeat) return this.open();
    this.send({ type: "ping" });
    this.#expectWithin(PROBE_ANSWER_WITHIN);
  }

  /** Puts a frame into the next batch; without an open socket it is dropped and the answer is false. */
  send(frame) {
    if (this.#socket?.readyState !== 1) return false;
    if (this.#queue.push(JSON.stringify(frame)) === 1) queueMicrotask(() => this.#flush());
    return true;
  }

  /** Sends a frame and resolves with its answer, or rejects with a RequestError. */
  request(frame) {
    const ref = String(++this.#lastRef);
    const request = { ...frame, ref };
    return new Promise((resolve, reject) => {
      if (!this.send(request)) return reject(new RequestError({ code: "disconnected" }));
      this.#requests.set(ref, { request, resolve, reject });
    });
  }

  #flush() {
    let batch = "";
    let bytes = 0;
    for (const line of this.#queue.splice(0)) {
      const size = new TextEncoder().encode(line).length + 1;
      if (batch && bytes + size > this.#limit) {
        this.#socket?.send(batch);
        batch = "";
        bytes = 0;
      }
      batch += batch ? `\n${line}` : line;
      bytes += size;
    }
    if (batch) this.#socket?.send(batch);
  }

  #receive(data) {
    const socket = this.#socket;
    this.#heardAt = this.#edges.clock.now();
    this.#expectWithin(2 * this.#heartbeat);
    for (const line of data.split("\n")) {
      // A frame's handler may have ended this connection: the rest of the batch belongs to the past.
      if (line && socket === this.#socket) this.#dispatch(JSON.parse(line));
    }
  }

  #dispatch(frame) {
    if (frame.type === "welcome") this.#welcome(frame);
    if (frame.type === "bye") this.#bye = frame;
    const pending = this.#requests.get(frame.ref);
    this.#requests.delete(frame.ref);
    this.#edges.onframe(frame, pending?.request);
    if (frame.type === "error") pending?.reject(new RequestError(frame));
    else pending?.resolve(frame);
  }

  #welcome({ heartbeat, limits }) {
    if (heartbeat) this.#heartbeat = heartbeat * 1000;
    this.#limit = limits?.message_bytes ?? this.#limit;
    this.#liveSince = this.#heardAt;
    this.#expectWithin(2 * this.#heartbeat);
    this.#become({ state: "live" });
  }

  #expectWithin(ms) {
    const { clock } = this.#edges;
    clock.clearTimeout(this.#silence);
    this.#silence = clock.setTimeout(() => this.#closed(4009, ""), ms);
  }

  #closed(closeCode, closeReason) {
    const { code, reason, reconnect, retry_after_ms } = { code: closeCode, reason: closeReason, ...this.#bye };
    const { clock, random, online } = this.#edges;
    if (this.#liveSince !== null && clock.now() - this.#liveSince > STEADY_AFTER) this.#failures = 0;
    this.#drop();
    if (code === LOGGED_OUT) return this.#become({ state: "logged_out", code, reason });
    const told = retry_after_ms === undefined ? undefined : clock.now() + retry_after_ms;
    if (!(reconnect ?? mayReturn(code))) return this.#become({ state: "stopped", code, reason, until: told });
    const ceiling = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures++);
    const pause = retry_after_ms ?? random() * ceiling;
    this.#pause = clock.setTimeout(() => this.open(), pause);
    this.#become({ state: online() ? "waiting" : "offline", until: clock.now() + pause, code, reason });
  }

  // Does not wait for the closing handshake: on a dead network it takes a minute.
  #drop() {
    const socket = this.#socket;
    const requests = [...this.#requests.values()];
    this.#edges.clock.clearTimeout(this.#silence);
    this.#socket = null;
    this.#liveSince = null;
    this.#bye = null;
    this.#queue = [];
    this.#requests.clear();
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    for (const { reject } of requests) reject(new RequestError({ code: "disconnected" }));
  }

  #become(status) {
    this.#status = status;
    this.#edges.onstatus(status);
  }
}
