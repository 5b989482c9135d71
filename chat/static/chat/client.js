// One person's chat in one page: joins connection, cursors, outbox and reducer. Views read its state and call its verbs; it knows no DOM.

import { Connection, isTemporary } from "./connection.js";
import { ConnectionLog } from "./connection_log.js";
import { Cursors } from "./cursors.js";
import { Deletions } from "./deletions.js";
import { Outbox, clientId } from "./outbox.js";
import { blockedPeople } from "./people.js";
import { mayWriteAt } from "./pace.js";
import { empty, reduce, release } from "./reducer.js";
import { Search } from "./search.js";
import { Typing } from "./typing.js";

// More missed than this in one room and its copy starts afresh from the newest: the older ones come by history when somebody looks.
const RESUME_LIMIT = 200;
const HISTORY_LIMIT = 100;
const MEMBERS_LIMIT = 100;
const PAUSE = 2_000;
const ALONE_AFTER = 5_000;

/**
 * `storage` keeps the outbox and `memory` what is to be deleted, over reloads. `onchange()` after the state or the status changed;
 * `onleft(room)` when one no longer belongs; `onfailed(item)` when the server refuses a post, `onrefused(error)` when it refuses a deletion;
 * `onpreferences(frame)` when the server tells them; `onnews(room, messages)` when some have arrived;
 * `onstranger()` when the browser is somebody else's by now: whoever logged in meanwhile must neither see nor send anything of ours.
 */
export class Client {
  #edges;
  #connection;
  #cursors;
  #outbox;
  #deletions;
  #typing;
  #ahead = 0; // the server's clock before ours, in ms
  #loading = new Set();
  #alone = null;

  constructor({ me, storage, memory, connect, clock, random = Math.random, online = () => true, newId = clientId, onchange, onleft, onfailed, onrefused, onstranger = () => {}, onpreferences = () => {}, onnews = () => {} }) {
    this.#edges = { clock, onchange, onleft, onstranger, onpreferences, onnews };
    this.state = empty(me);
    this.log = new ConnectionLog();
    this.synced = false;
    this.#connection = new Connection({
      connect,
      clock,
      random,
      online,
      onopen: () => this.#resumeAll(),
      onframe: (frame, request) => this.#receive(frame, request),
      onstatus: (status) => this.#statusChanged(status),
    });
    this.#cursors = new Cursors({ clock, acknowledge: (cursors) => this.#connection.send({ type: "ack", cursors }) });
    this.#typing = new Typing({ clock, say: (room) => this.#connection.send({ type: "typing", room }), onchange });
    this.#outbox = new Outbox({
      storage,
      clock,
      newId,
      post: ({ room, id, body }) => this.#connection.request({ type: "post", room, id, body }),
      onchange: (items) => this.#apply({ type: "outbox", items }),
      onfailed,
    });
    this.#deletions = new Deletions({
      me,
      memory,
      clock,
      tell: ({ room, seq }) => this.#connection.request({ type: "delete", room, seq }),
      onchange,
      onrefused,
    });
  }

  get status() {
    return this.#connection.status;
  }

  async start() {
    this.#connection.open();
    await this.#outbox.load();
  }

  /** A person asks to come back now. */
  retry() {
    this.#connection.retry();
  }

  /** The network is back, or the page is seen again. */
  wake() {
    this.#connection.wake();
    // Another tab may have been closed before its posts were answered.
    if (this.status.state === "live") this.#outbox.resume();
  }

  post(room, body) {
    return this.#outbox.add(room, body);
  }

  retryPost(id) {
    this.#outbox.retry(id);
  }

  discardPost(id) {
    this.#outbox.remove(id);
  }

  /** Resolves when the server has it. Whoever is too fast for it waits. */
  async edit(room, seq, body) {
    try {
      return await this.#connection.request({ type: "edit", room, seq, body });
    } catch (error) {
      if (error.code !== "rate_limited") throw error;
      await this.#sleep(error.retryAfter ?? PAUSE);
      return this.edit(room, seq, body);
    }
  }

  /** Out of sight at once; the server hears of it later, until when it can be undone. */
  delete(room, seq) {
    this.#deletions.begin(room, seq);
  }

  undelete(room, seq) {
    this.#deletions.undo(room, seq);
  }

  /** This person leaves a room, or for none the page: what they deleted there is told now. */
  leaveBehind(room) {
    this.#deletions.hurry(room);
  }

  /** The messages of a room without what this person is deleting. */
  veil(room, messages) {
    return this.#deletions.veil(room, messages);
  }

  /** Marks a room as unread from a message on; without one, as read as far as it is. */
  markUnread(room, seq) {
    return this.#connection.request({ type: "unread", room, seq });
  }

  /** When slow mode lets this person write next in a room, in ms of our clock; 0 for now. */
  mayWriteAt(room) {
    const at = mayWriteAt(this.state, room) - this.#ahead;
    return at > this.#edges.clock.now() ? at : 0;
  }

  /** Changes one's preferences, on every device; resolves with all of them. */
  prefer(changes) {
    return this.#connection.request({ type: "prefer", ...changes });
  }

  /** What one wants to be told of a room while looking elsewhere: "all" or "none". */
  notify(room, level) {
    return this.#connection.request({ type: "notify", room, level });
  }

  /** Finds out how long an answer takes, and notes it in the log. */
  async ping() {
    const { clock, onchange } = this.#edges;
    const began = clock.now();
    await this.#connection.request({ type: "ping" });
    this.log.trip(clock.now() - began);
    onchange();
  }

  /** Opens the direct room with somebody and resolves with its id. */
  async open(username) {
    const { room } = await this.#connection.request({ type: "open", to: username });
    return room;
  }

  /** Makes a group, or a feed, of these usernames, and resolves with its id. */
  async create({ name, kind, members, open }) {
    const { room } = await this.#connection.request({ type: "create", name, kind, members, open });
    return room;
  }

  join(room) {
    return this.#connection.request({ type: "join", room });
  }

  leave(room) {
    return this.#connection.request({ type: "leave", room });
  }

  rename(room, name) {
    return this.#connection.request({ type: "rename", room, name });
  }

  archive(room, archived) {
    return this.#connection.request({ type: "archive", room, archived });
  }

  invite(room, users) {
    return this.#connection.request({ type: "invite", room, users });
  }

  remove(room, user) {
    return this.#connection.request({ type: "remove", room, user });
  }

  appoint(room, user, role) {
    return this.#connection.request({ type: "appoint", room, user, role });
  }

  block(user, blocked) {
    return this.#connection.request({ type: "block", user, blocked });
  }

  /** Tells those who run the site about a message, {room, seq}, or a person, {user}. */
  report(subject, reason) {
    return this.#connection.request({ type: "report", ...subject, reason });
  }

  /** A page of a room's members after that username: [{user, role, online}], and whether there are more. */
  async members(room, after) {
    const { members, more } = await this.#connection.request({ type: "members", room, after, limit: MEMBERS_LIMIT });
    return { members, more };
  }

  /** A Search for usernames, and for open rooms that one is not in: `onanswer({users, rooms}, query)`. */
  search(onanswer, onerror) {
    return new Search({ clock: this.#edges.clock, ask: (query) => this.#connection.request({ type: "find", query }), onanswer, onerror });
  }

  /** Shows a room at a message, or at its newest for null; null as room shows none. What is far from there may have to be loaded again. */
  look(room, at = null) {
    this.#apply({ type: "look", room, at });
  }

  /**
   * Loads what stands before, after or around a seq; a second call for the same direction waits for the first. Resolves with whether it
   * was worth asking: false if the server had no time for it.
   */
  async load(room, direction, seq) {
    const wanted = `${room} ${direction}`;
    if (this.#loading.has(wanted) || !this.synced) return true;
    this.#loading.add(wanted);
    try {
      await this.#connection.request({ type: "history", room, [direction]: seq, limit: HISTORY_LIMIT });
      return true;
    } catch (error) {
      if (error.code !== "disconnected") await this.#sleep(error.retryAfter ?? PAUSE);
      return !isTemporary(error);
    } finally {
      this.#loading.delete(wanted);
      if (!this.loading) this.state = release(this.state, room);
      this.#edges.onchange();
    }
  }

  get loading() {
    return this.#loading.size > 0;
  }

  /** This person has seen a room up to `seq`. */
  read(room, seq) {
    if (!(seq > this.state.rooms.get(room)?.read_seq) || !this.#connection.send({ type: "read", room, seq })) return;
    this.#apply({ type: "receipt", room, user: this.state.me, read_seq: seq });
  }

  /** This person is writing in a room. */
  type(room) {
    if (this.synced) this.#typing.type(room);
  }

  /** Who else is writing there: usernames. */
  typists(room) {
    return this.#typing.in(room);
  }

  #receive(frame, request) {
    switch (frame.type) {
      case "welcome":
        if ((frame.user?.username ?? this.state.me) !== this.state.me) return this.#meetStranger();
        this.log.worker = frame.worker;
        this.#edges.onpreferences(frame);
        this.#cursors.welcome(frame);
        this.#ahead = frame.time ? Date.parse(frame.time) - this.#edges.clock.now() : 0;
        this.#apply(frame);
        this.#outbox.resume();
        this.#deletions.resume();
        break;
      case "preferences":
        // Whoever asked gets it as an answer.
        if (!request) this.#edges.onpreferences(frame);
        break;
      case "room":
        this.#room(frame);
        break;
      case "message":
      case "replay":
        this.#follow(frame);
        break;
      case "typing":
        if (frame.user !== this.state.me && !blockedPeople(this.state).has(frame.user)) this.#typing.hear(frame.room, frame.user);
        break;
      default:
        this.#apply(frame, request);
    }
  }

  #meetStranger() {
    this.#connection.leave();
    this.#edges.onstranger();
  }

  #room(frame) {
    const known = this.state.rooms.get(frame.room);
    this.#cursors.room(frame);
    this.#apply(frame);
    if (frame.left && known) this.#edges.onleft(known);
  }

  #follow(frame) {
    const verdict = frame.type === "replay" ? this.#cursors.replay(frame) : this.#cursors.message(frame);
    if (verdict === "resume") this.#resume(frame.room);
    if (verdict !== "apply") return;
    this.#apply(frame);
    const messages = frame.messages ?? [frame];
    // The message itself is as good as its `posted`, which may have been lost or gone to another tab.
    for (const { sender, id } of messages) {
      if (sender === this.state.me) this.#outbox.remove(id);
      this.#typing.end(frame.room, sender);
    }
    this.#edges.onnews(frame.room, messages);
  }

  async #resumeAll() {
    const everything = this.#cursors.everything();
    try {
      await this.#connection.request({ type: "resume", limit: RESUME_LIMIT, ...everything });
      this.#cursors.synced();
      this.synced = true;
      this.#edges.onchange();
    } catch (error) {
      if (error.code === "disconnected") return;
      await this.#sleep(error.retryAfter ?? PAUSE);
      if (!this.synced) this.#resumeAll();
    }
  }

  async #resume(room) {
    const { cursors, ended } = this.#cursors.resume(room);
    try {
      await this.#connection.request({ type: "resume", limit: RESUME_LIMIT, cursors });
      ended();
    } catch (error) {
      if (["disconnected", "not_found"].includes(error.code)) return;
      await this.#sleep(error.retryAfter ?? PAUSE);
      ended();
      this.#resume(room);
    }
  }

  #statusChanged(status) {
    const { clock } = this.#edges;
    const { state } = status;
    this.log.note(status, clock.now());
    if (state === "live") {
      clock.clearTimeout(this.#alone);
      this.#alone = null;
    } else {
      this.#alone ??= clock.setTimeout(() => this.#apply({ type: "alone" }), ALONE_AFTER);
      this.synced = false;
      this.#outbox.pause();
      this.#deletions.pause();
      this.#typing.forget();
    }
    this.#edges.onchange();
  }

  #apply(frame, request) {
    const state = reduce(this.state, frame, request);
    this.state = this.loading ? state : release(state, frame.room);
    this.#edges.onchange();
  }

  #sleep(ms) {
    return new Promise((resolve) => this.#edges.clock.setTimeout(resolve, ms));
  }
}
