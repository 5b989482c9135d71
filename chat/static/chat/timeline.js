// What a room shows, row by row: days, the "new" divider, grouped messages, and what is still on its way.

import { progress } from "./reducer.js";

const GROUPED_WITHIN = 5 * 60_000;

const day = (at) => new Date(at).toDateString();

/**
 * `messages` as the server sent them, `waiting` as `pending` gives them, `newAfter` the seq after which the divider stands (or null).
 * Rows: {kind: "day", at} · {kind: "new"} · {kind: "empty"} (alone) · {kind: "message", key, message, opens, mark?} where `opens` begins a group. A row's key
 * stays the same from pending to message, so that it is updated in place.
 */
export function rows({ room, messages, waiting, newAfter, me }) {
  const result = [];
  const marks = furthest(room, messages, me);
  let previous = null;
  let divided = newAfter === null;
  for (const message of [...messages, ...waiting.map((item) => ({ ...item, sender: me, pending: true }))]) {
    const newDay = previous === null || day(previous.at) !== day(message.at);
    const newest = !divided && !message.pending && message.seq > newAfter;
    if (newDay) result.push({ kind: "day", key: `day ${day(message.at)}`, at: message.at });
    if (newest) result.push({ kind: "new", key: "new" });
    divided ||= newest;
    const mark = message.pending ? message.state : marks.get(message.seq);
    result.push({ kind: "message", key: key(message), message, mark, opens: newDay || newest || !grouped(previous, message) });
    previous = message;
  }
  if (result.length === 0 && room.seq < room.first_seq) result.push({ kind: "empty", key: "empty" });
  return result;
}

// A client id is unique for its sender only.
const key = ({ sender, id, seq }) => (sender === null || !id ? `seq ${seq}` : `${sender} ${id}`);

const grouped = (previous, message) =>
  previous.sender === message.sender && new Date(message.at) - new Date(previous.at) < GROUPED_WITHIN;

/** "Up to here" markers: the newest of one's own messages that got as far as sent, delivered, read. */
function furthest(room, messages, me) {
  const marks = new Map();
  const seen = new Set();
  for (const message of messages.toReversed()) {
    if (message.sender !== me || message.deleted) continue;
    const mark = progress(room, message, me);
    if (!seen.has(mark)) marks.set(message.seq, mark);
    seen.add(mark);
    if (mark === "read") break;
  }
  return marks;
}
