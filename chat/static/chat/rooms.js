// The rooms as a person goes through them: what each is called, their order in the list, and which of them a few letters mean.

import { unread } from "./reducer.js";

const KINDS = ["everyone", "group", "feed", "direct"];

/** A direct room is called as its other member. */
export const nameOf = (room) => room.name || room.peer || room.room;

export function inOrder(rooms) {
  return [...rooms].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || nameOf(a).localeCompare(nameOf(b)));
}

/** The id of the room that stands `step` places after this one in the list, whose ends meet; undefined if there is none. */
export function neighbour(rooms, current, step) {
  const ids = inOrder(rooms).map(({ room }) => room);
  const place = ids.indexOf(current);
  if (place < 0) return step > 0 ? ids[0] : ids.at(-1);
  return ids[(place + step + ids.length) % ids.length];
}

/** What `query` may mean, best first: names that begin with it, then words that do, then the others. For nothing typed: what is unread first. */
export function find(rooms, query) {
  const wanted = folded(query.trim());
  const rank = (room) => (wanted ? match(folded(nameOf(room)), wanted) : Number(unread(room) === 0));
  return inOrder(rooms)
    .map((room) => ({ room, rank: rank(room) }))
    .filter(({ rank }) => rank < 3)
    .sort((a, b) => a.rank - b.rank)
    .map(({ room }) => room);
}

function match(name, wanted) {
  if (name.startsWith(wanted)) return 0;
  if (name.split(/[\s._-]+/).some((word) => word.startsWith(wanted))) return 1;
  return name.includes(wanted) ? 2 : 3;
}

const folded = (words) => words.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
