// What this person's chat looks like after each frame: pure (state, frame) → state, with selectors. It asks for nothing.
//
// Only frames that the cursors let through may come here. A room's `window` is the unbroken run of messages that one may scroll through:
// messages outside of it are held too, because a history that is still outstanding may bring an older copy of them.

import { Messages } from "./messages.js";
import { hear, introduce } from "./people.js";

const NEWEST = 200; // kept of every room
const NEAR = 500; // kept on either side of the place that one looks at
const TOO_MANY = { shown: 1_800, unshown: 400 };

// What a `room` frame leaves out is as it is with most rooms, whatever it was before.
const USUAL = { slow_mode: 0, archived: false, read_only: false, open: false, notify: "all", unread_from: undefined, blocked: false };

export const empty = (me) => ({ me, epoch: undefined, limits: {}, rooms: new Map(), people: new Map(), shown: null, outbox: [], posted: new Map() });

/**
 * Frames of the server, and three of our own: `outbox` {items}; `look` {room, at}: at a seq, or at the newest for null; and `alone`, when
 * the connection has been gone for so long that nobody's presence is known.
 */
export function reduce(state, frame, request) {
  switch (frame.type) {
    case "welcome":
      return frame.rooms.reduce(meet, greet(state, frame));
    case "room":
      return frame.left ? leave(state, frame.room) : meet(state, frame);
    case "message":
      return settle(change(state, frame.room, (room) => advance(take(room, [frame], state.me), frame.rev)));
    case "replay":
      return settle(change(state, frame.room, (room) => replay(room, frame, state.me)));
    case "history":
      return change(state, frame.room, (room) => recall(room, frame, request ?? {}, state.me));
    case "receipt":
      return change(state, frame.room, (room) => receipt(room, frame, state.me));
    case "presence":
      return { ...state, people: hear(state.people, frame, state.me) };
    case "posted":
      return settle(post(state, frame));
    case "alone":
      return { ...state, people: new Map() };
    case "outbox":
      return { ...state, outbox: frame.items };
    case "look":
      return look(state, frame);
    default:
      return state;
  }
}

/** The last place that this person has read, or left unmarked when they marked what follows as unread. */
export const readUpTo = ({ read_seq, unread_from = Infinity, first_seq }) => Math.max(Math.min(read_seq, unread_from - 1), first_seq - 1);

export const unread = (room) => Math.max(0, room.seq - readUpTo(room));

/** Whether this person wants to be told nothing of this room. */
export const isMuted = ({ notify }) => notify === "none";

/** In all rooms but the muted ones. */
export const unreadInAll = (state) => [...state.rooms.values()].reduce((sum, room) => sum + (isMuted(room) ? 0 : unread(room)), 0);

/** Whether there is more than the window on either side. */
export function edges({ window, first_seq, seq }) {
  if (!window) return { moreBefore: seq >= first_seq, moreAfter: false };
  return { moreBefore: window[0] > first_seq, moreAfter: window[1] < seq };
}

/** The messages of a room's window, oldest first, and whether there are more on either side. */
export const onShow = (room) => ({ messages: room.window ? run(room.messages, room.window) : [], ...edges(room) });

/** The messages of a part of the window. */
export function run(messages, [from, to]) {
  return Array.from({ length: to - from + 1 }, (_, index) => messages.get(from + index));
}

/** What this person sent to a room and cannot see as a message yet, oldest first. */
export function pending(state, room) {
  const posted = [...state.posted.values()].filter((item) => item.room === room.room);
  const waiting = state.outbox.filter((item) => item.room === room.room && !state.posted.has(item.id));
  if (posted.length + waiting.length === 0) return [];
  const seen = new Set();
  for (const message of room.messages.values()) if (message.sender === state.me) seen.add(message.id);
  return [...posted, ...waiting].filter(({ id }) => !seen.has(id));
}

// Heads and receipts are told anew on each connection, and only then may they go back: after a restored backup they do.
// Who came and left meanwhile was not heard, so nobody's presence is known until it is told anew.
function greet(state, { epoch, limits }) {
  const sameHistory = state.epoch === undefined || state.epoch === epoch;
  const rooms = sameHistory ? new Map(state.rooms) : new Map();
  for (const [id, room] of rooms) rooms.set(id, { ...room, rev: 0, seq: 0, read_seq: 0, receipts: new Map() });
  return { ...state, epoch, limits: limits ?? {}, rooms, people: new Map(), posted: sameHistory ? state.posted : new Map() };
}

function meet(state, { online, last_seen, ...frame }) {
  const known = state.rooms.get(frame.room);
  const people = introduce(state.people, { online, last_seen, ...frame }, state.me);
  const room = {
    ...(known ?? { applied: frame.delivered_rev, messages: new Messages(), window: null, rev: 0, seq: 0, read_seq: 0, receipts: new Map() }),
    ...USUAL,
    ...frame,
    roles: new Map(Object.entries(frame.roles ?? {})),
    first_seq: Math.max(known?.first_seq ?? 1, frame.first_seq ?? 1),
    rev: Math.max(known?.rev ?? 0, frame.rev),
    seq: Math.max(known?.seq ?? 0, frame.seq),
    read_seq: Math.max(known?.read_seq ?? 0, frame.read_seq),
    receipts: new Map(Object.entries(frame.receipts ?? {}).map(([user, cursors]) => [user, further(known?.receipts.get(user), cursors)])),
  };
  return change({ ...state, people, rooms: new Map(state.rooms).set(frame.room, room) }, frame.room, purge);
}

/** What lies before the room's beginning is gone, here as well. */
function purge(room) {
  const { messages, window, first_seq } = room;
  const kept = messages.filter((seq) => seq >= first_seq);
  if (kept === messages) return room;
  const [from, to] = window ?? [0, 0];
  return { ...room, messages: kept, window: to < first_seq ? null : [Math.max(from, first_seq), to] };
}

function leave(state, id) {
  const rooms = new Map(state.rooms);
  rooms.delete(id);
  return { ...state, rooms };
}

/** Puts a changed room back and, while one looks at it, lets its window grow. */
function change(state, id, update) {
  const room = state.rooms.get(id);
  if (!room) return state;
  const updated = update(room);
  const kept = state.shown?.room === id ? widen(updated, state.shown.at) : { ...updated, window: null };
  return { ...state, rooms: new Map(state.rooms).set(id, kept) };
}

function look(state, { room: id, at }) {
  const before = state.shown?.room;
  const shown = id === null ? null : { room: id, at };
  const next = { ...state, shown };
  const left = before !== undefined && before !== id ? change(next, before, (room) => room) : next;
  return shown ? change(left, id, (room) => (onWindow(room, at) ? room : { ...room, window: null })) : left;
}

function onWindow({ window, seq, first_seq }, at) {
  const place = within(at ?? seq, first_seq, seq);
  return window !== null && window[0] <= place && place <= window[1];
}

const within = (value, low, high) => Math.max(low, Math.min(value, high));

function widen(room, at) {
  const { messages, first_seq, seq } = room;
  const start = within(at ?? seq, first_seq, seq);
  if (!room.window && !messages.has(start)) return room;
  let [from, to] = room.window ?? [start, start];
  while (messages.has(from - 1)) from--;
  while (messages.has(to + 1)) to++;
  return { ...room, window: [from, to] };
}

/**
 * Lets go of what is far from the place that one looks at: history brings it again. Not to be called while a history is outstanding,
 * which may be older than what came live meanwhile.
 */
export function release(state, id) {
  const room = state.rooms.get(id);
  const isShown = state.shown?.room === id;
  if (!room || room.messages.size <= (isShown ? TOO_MANY.shown : TOO_MANY.unshown)) return state;
  const { seq, first_seq } = room;
  const place = isShown ? within(state.shown.at ?? seq, first_seq, seq) : Infinity;
  const messages = room.messages.filter((at) => at > seq - NEWEST || Math.abs(at - place) <= NEAR);
  return change(state, id, () => ({ ...room, messages, window: overlap(room.window, place - NEAR, place + NEAR) }));
}

function overlap(window, low, high) {
  const [from, to] = window ?? [1, 0];
  const left = [Math.max(from, low), Math.min(to, high)];
  return left[0] <= left[1] ? left : null;
}

function take(room, incoming, me) {
  let { rev, seq, read_seq, spoke_at = "" } = room;
  for (const message of incoming) {
    rev = Math.max(rev, message.rev);
    seq = Math.max(seq, message.seq);
    if (message.sender !== me) continue;
    read_seq = Math.max(read_seq, message.seq);
    if (message.at > spoke_at) spoke_at = message.at;
  }
  return { ...room, messages: room.messages.with(incoming), rev, seq, read_seq, spoke_at };
}

const advance = (room, upto) => ({ ...room, applied: Math.max(room.applied, upto), rev: Math.max(room.rev, upto) });

function replay(room, { messages, upto, reset }, me) {
  const from = reset ? { ...room, messages: new Messages(), window: null, applied: 0 } : room;
  return advance(take(from, messages, me), upto);
}

// The server knows where its history begins: without this, a room whose oldest messages are gone would be asked for them for ever.
function recall(room, { messages, more_before }, { before, after }, me) {
  const taken = take(room, messages, me);
  if (more_before !== false || after !== undefined) return taken;
  const first = messages[0]?.seq ?? before ?? room.seq + 1;
  return { ...taken, first_seq: Math.max(taken.first_seq, first) };
}

// Large rooms tell no receipts: one that passes by anyway must not look like everybody's.
function receipt(room, { user, delivered_rev = 0, read_seq = 0 }, me) {
  const before = room.receipts.get(user);
  const receipts = before ? new Map(room.receipts).set(user, further(before, [delivered_rev, read_seq])) : room.receipts;
  return { ...room, receipts, read_seq: user === me ? Math.max(room.read_seq, read_seq) : room.read_seq };
}

const further = ([delivered, read] = [0, 0], [newDelivered, newRead]) => [Math.max(delivered, newDelivered), Math.max(read, newRead)];

// `posted` does not move the cursor, so until the message itself has come, its author sees the post in its place.
function post(state, { id, room, seq, rev, at }) {
  const item = state.outbox.find((other) => other.id === id);
  if (!item) return state;
  return { ...state, posted: new Map(state.posted).set(id, { ...item, room, seq, rev, at, state: "sent" }) };
}

function settle(state) {
  const here = [...state.posted].filter(([, { room, rev }]) => !(state.rooms.get(room)?.applied >= rev));
  return here.length === state.posted.size ? state : { ...state, posted: new Map(here) };
}
