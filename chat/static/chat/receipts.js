// How far messages got, as "up to here" marks: one's own sent, delivered and read, and the others' faces where each has read to.

/** How far one of one's own messages got: "sent", "delivered" to everybody else, or "read" by everybody else. */
export function progress(room, message, me) {
  const others = [...room.receipts].filter(([user]) => user !== me).map(([, cursors]) => cursors);
  if (others.length === 0) return "sent";
  if (others.every(([, read]) => read >= message.seq)) return "read";
  return others.every(([delivered]) => delivered >= message.rev) ? "delivered" : "sent";
}

const STEPS = ["sent", "delivered", "read"];

/**
 * By seq: the newest of one's own messages that got as far as sent, delivered, read. An older one that got less far was edited since,
 * which is no news.
 */
export function marks(room, messages, me) {
  const found = new Map();
  let furthest = -1;
  for (const message of messages.toReversed()) {
    if (message.sender !== me || message.deleted) continue;
    const mark = progress(room, message, me);
    if (STEPS.indexOf(mark) <= furthest) continue;
    found.set(message.seq, mark);
    furthest = STEPS.indexOf(mark);
    if (mark === "read") break;
  }
  return found;
}

/**
 * By seq: who has read up to that message and no further, by name. Nobody's reading of their own words is news,
 * nobody reads what was deleted, and in a direct room a mark says it all.
 */
export function readers(room, messages, me) {
  const found = new Map();
  if (room.kind === "direct" || messages.length === 0) return found;
  const end = messages.at(-1).seq;
  for (const [user, [, read]] of room.receipts) {
    if (user === me || (read > end && room.seq > end)) continue;
    const message = messages.findLast(({ seq, deleted }) => seq <= read && !deleted);
    if (message && message.sender !== user) found.set(message.seq, [...(found.get(message.seq) ?? []), user].sort());
  }
  return found;
}

/** Everybody else who has read a message, by name. */
export const readBy = (room, { seq, sender }, me) =>
  [...room.receipts].filter(([user, [, read]]) => user !== me && user !== sender && read >= seq).map(([user]) => user).sort();
