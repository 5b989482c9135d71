// What of what has just arrived somebody is to be told who is not looking: pure.

import { blockedPeople } from "./people.js";
import { isMuted, unread } from "./reducer.js";

/** {room, count, message} for the newest of `messages` that is news to this person, with the room's unread count; null if none is. */
export function news(state, id, messages) {
  const room = state.rooms.get(id);
  if (!room || isMuted(room)) return null;
  const blocked = blockedPeople(state);
  const isNews = ({ seq, sender, deleted, edited_at }) =>
    seq > room.read_seq && sender !== state.me && !blocked.has(sender) && !deleted && !edited_at;
  const message = messages.findLast(isNews);
  return message ? { room, count: unread(room), message } : null;
}
