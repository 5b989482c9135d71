// A clock that moves when told, a server on the other end of each WebSocket, and frames with the fields that do not matter filled in.

export class FakeClock {
  #now = 1_000_000;
  #timers = new Map();
  #last = 0;

  now = () => this.#now;

  setTimeout = (callback, ms) => {
    this.#timers.set(++this.#last, { callback, due: this.#now + ms });
    return this.#last;
  };

  clearTimeout = (timer) => void this.#timers.delete(timer);

  async advance(ms) {
    const until = this.#now + ms;
    for (let next = this.#next(until); next; next = this.#next(until)) {
      const [timer, { callback, due }] = next;
      this.#timers.delete(timer);
      this.#now = due;
      callback();
      await settled();
    }
    this.#now = until;
    await settled();
  }

  #next(until) {
    return [...this.#timers].filter(([, { due }]) => due <= until).sort(([, a], [, b]) => a.due - b.due)[0];
  }
}

/** Lets everything that was promised happen. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** The other end of every socket that `connect` made; `socket` is the newest. */
export class FakeServer {
  sockets = [];

  connect = (protocol) => {
    const socket = new FakeSocket(protocol);
    this.sockets.push(socket);
    return socket;
  };

  get socket() {
    return this.sockets.at(-1);
  }

  get received() {
    return this.socket.received;
  }

  /** What the client sent on this socket, by type. */
  got(type) {
    return this.received.filter((frame) => frame.type === type);
  }

  accept() {
    this.socket.readyState = 1;
    this.socket.onopen();
    return settled();
  }

  send(...frames) {
    this.socket.onmessage?.({ data: frames.map((frame) => JSON.stringify(frame)).join("\n") });
    return settled();
  }

  /** Answers the newest frame of a type, repeating its ref. */
  answer(type, frame) {
    return this.send({ ref: this.got(type).at(-1).ref, ...frame });
  }

  close(code, reason = "") {
    this.socket.readyState = 3;
    this.socket.onclose?.({ code, reason });
    return settled();
  }

  async welcome(frame = {}) {
    await this.accept();
    await this.send(welcome(frame));
    await this.answer("resume", { type: "synced" });
  }
}

class FakeSocket {
  readyState = 0;
  batches = [];
  closed = false;

  constructor(protocol) {
    this.protocol = protocol;
  }

  get received() {
    return this.batches.flatMap((batch) => batch.split("\n").map((line) => JSON.parse(line)));
  }

  send(batch) {
    this.batches.push(batch);
  }

  close() {
    this.closed = true;
    this.readyState = 3;
  }
}

export const welcome = (frame = {}) => ({ type: "welcome", epoch: "first", heartbeat: 15, limits: {}, rooms: [], ...frame });

export const room = (frame = {}) => ({
  type: "room",
  room: "kitchen",
  kind: "group",
  name: "Kitchen",
  members: 2,
  rev: 0,
  seq: 0,
  first_seq: 1,
  delivered_rev: 0,
  read_seq: 0,
  receipts: {},
  ...frame,
});

export const message = (seq, frame = {}) => ({
  type: "message",
  room: "kitchen",
  seq,
  rev: seq,
  id: `id-${seq}`,
  sender: "bob",
  body: `text ${seq}`,
  at: "2026-11-20T10:00:00.000Z",
  ...frame,
});

export const messages = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => message(from + index));

export const replay = (frame) => ({ type: "replay", room: "kitchen", messages: [], after: 0, upto: 0, complete: true, ...frame });

/** What a browser remembers, as each of its tabs sees it: what one has set, the others hear. */
export function fakeMemory() {
  const kept = new Map();
  const tabs = [];
  const tab = () => {
    const heard = [];
    tabs.push(heard);
    return {
      get: (key) => kept.get(key) ?? "",
      set(key, words) {
        if (words === (kept.get(key) ?? "")) return;
        kept.set(key, words);
        for (const others of tabs) if (others !== heard) for (const callback of others) callback(key, words);
      },
      onchange: (callback) => heard.push(callback),
    };
  };
  return { tab };
}
