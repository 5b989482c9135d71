// What a room shows, row by row: days, the "new" divider, grouped messages, and what is still on its way.

import { marks, readBy, readers } from "./receipts.js";

const GROUPED_WITHIN = 5 * 60_000;

const day = (at) => new Date(at).toDateString();

/**
 * `messages` as the server sent them, an unbroken run, `waiting` as `pending` gives them, `newAfter` the seq after which the divider stands (or null),
 * `isFolded(message)` whether it is by somebody whom one does not want to hear.
 * Rows: {kind: "day", at} · {kind: "new"} · {kind: "empty"} (alone) · {kind: "gone"} (before the oldest that is kept) · {kind: "message", key, message, opens, folded, mark?, readers?, readBy?} where `opens` begins
 * a group, `readers` have read up to here and no further, and `readBy` are all who have. A row's key stays the same from pending to
 * message, so that it is updated in place.
 */
export function rows({ room, messages, waiting, newAfter, me, isFolded = () => false }) {
  const result = [];
  const own = marks(room, messages, me);
  const others = readers(room, messages, me);
  let previous = null;
  let divided = newAfter === null;
  for (const message of [...messages, ...waiting.map((item) => ({ ...item, sender: me, pending: true }))]) {
    const newDay = previous === null || day(previous.at) !== day(message.at);
    const isNew = !divided && !message.pending && message.seq > newAfter;
    // Of a stretch that begins amid new messages the first is not the first new one.
    const newest = isNew && (previous !== null || message.seq <= Math.max(newAfter + 1, room.first_seq ?? 1));
    if (newDay) result.push({ kind: "day", key: `day ${day(message.at)}`, at: message.at });
    if (newest) result.push({ kind: "new", key: "new" });
    divided ||= isNew;
    const opens = newDay || newest || !grouped(previous, message);
    const mark = message.pending ? message.state : own.get(message.seq);
    const upToHere = others.has(message.seq) && { readers: others.get(message.seq), readBy: readBy(room, message, me) };
    result.push({ kind: "message", key: key(message), message, mark, opens, folded: isFolded(message), ...upToHere });
    previous = message;
  }
  const begins = messages.length === 0 ? room.seq < room.first_seq : messages[0].seq <= room.first_seq;
  if (begins && room.first_seq > 1) result.unshift({ kind: "gone", key: "gone" });
  else if (begins && result.length === 0) result.push({ kind: "empty", key: "empty" });
  return result;
}

// A client id is unique for its sender only.
const key = ({ sender, id, seq }) => (sender === null || !id ? `seq ${seq}` : `${sender} ${id}`);

const grouped = (previous, message) =>
  previous.sender === message.sender && !previous.announcement && !message.announcement && new Date(message.at) - new Date(previous.at) < GROUPED_WITHIN;
