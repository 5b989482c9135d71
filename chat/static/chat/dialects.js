// How one says something to the server in each of its dialects; and an example of everything that can be said in JSON.

const ROOM = "a room's id";

/** One of each frame that a client may send. */
export const examples = [
  { type: "resume", cursors: {} },
  { type: "post", id: "a UUID", to: "bob", body: "Hello!" },
  { type: "edit", room: ROOM, seq: 1, body: "Hello, everybody!" },
  { type: "delete", room: ROOM, seq: 1 },
  { type: "ack", cursors: { [ROOM]: 1 } },
  { type: "read", room: ROOM, seq: 1 },
  { type: "typing", room: ROOM },
  { type: "open", to: "bob" },
  { type: "join", room: ROOM },
  { type: "leave", room: ROOM },
  { type: "history", room: ROOM, limit: 10 },
  { type: "create", name: "Garden", members: ["bob"] },
  { type: "rename", room: ROOM, name: "Garden" },
  { type: "archive", room: ROOM, archived: true },
  { type: "invite", room: ROOM, users: ["bob"] },
  { type: "remove", room: ROOM, user: "bob" },
  { type: "appoint", room: ROOM, user: "bob", role: "moderator" },
  { type: "members", room: ROOM, limit: 50 },
  { type: "find", query: "b" },
  { type: "notify", room: ROOM, level: "none" },
  { type: "unread", room: ROOM, seq: 1 },
  { type: "block", user: "bob", blocked: true },
  { type: "report", room: ROOM, seq: 1, reason: "Why" },
  { type: "prefer", theme: "dark" },
  { type: "ping" },
];

/** An example as it can be sent: with a reference, a fresh id, and a room that is known. */
export const ready = (example, { ref, id, room = ROOM }) => JSON.stringify({ ...example, ref, ...(example.id && { id }) }).replaceAll(ROOM, room);

/** What says `body` to a room or a user: a frame with a fresh id, or a line. Without anybody named, the line goes to everybody. */
export function compose(dialect, { to, isRoom, body, ref, id }) {
  if (dialect === "chat.v1.json") return JSON.stringify({ type: "post", ref, id, [isRoom ? "room" : "to"]: to, body });
  return to ? `${to}|${body}` : body;
}

/** The rooms that a message of the server tells of, as [id, name]. */
export function roomsIn(data) {
  const found = [];
  for (const line of data.split("\n")) {
    try {
      const { type, room, name, peer } = JSON.parse(line);
      if (type === "room" && room) found.push([room, name || peer || room]);
    } catch {
      // The plain-text dialect, which tells of no rooms.
    }
  }
  return found;
}
