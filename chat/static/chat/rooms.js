// The rooms as a person goes through them: what each is called, their order in the list, and which of them a few letters mean.

import { byName } from "./names.js";
import { unread } from "./reducer.js";

const KINDS = ["everyone", "group", "feed", "direct"];

/** A direct room is called as its other member. */
export const nameOf = (room) => room.name || room.peer || room.room;

/** By kind, then by name; what is archived last. */
export function inOrder(rooms) {
  const place = ({ archived, kind }) => (archived ? KINDS.length : KINDS.indexOf(kind));
  return [...rooms].sort((a, b) => place(a) - place(b) || byName(nameOf(a), nameOf(b)));
}

/** Those that stand in the list, in order: not a direct room in which nobody has said anything, unless one is `busy(room)` there. */
export const listed = (rooms, busy = () => false) => inOrder(rooms).filter((room) => !isEmpty(room) || busy(room.room));

const isEmpty = ({ kind, seq }) => kind === "direct" && seq === 0;

/** The id of the room that stands `step` places after this one in the list, whose ends meet; undefined if there is none. */
export function neighbour(rooms, current, step) {
  const ids = listed(rooms, (id) => id === current).filter(({ room, archived }) => !archived || room === current).map(({ room }) => room);
  const place = ids.indexOf(current);
  if (place < 0) return step > 0 ? ids[0] : ids.at(-1);
  return ids[(place + step + ids.length) % ids.length];
}

/** What `query` may mean, best first: names that begin with it, then words that do, then the others. For nothing typed: what is unread first. */
export function find(rooms, query) {
  const wanted = folded(query.trim());
  const rank = (room) => (wanted ? match(folded(nameOf(room)), wanted) : Number(unread(room) === 0));
  return (wanted ? inOrder(rooms) : listed(rooms).filter(({ archived }) => !archived))
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
