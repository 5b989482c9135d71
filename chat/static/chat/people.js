// Who is online and when the others were, as far as small rooms tell: a Map of username → {online, last_seen?}. Who is not in it is unknown.
//
// Whoever looks at this page is online, whatever the server has heard of that yet.

import { byName } from "./names.js";

/** A `room` frame tells how it is with all its members, if it is a small one. */
export function introduce(people, { online, last_seen, receipts }, me) {
  if (!online) return people;
  const here = new Set([...online, me]);
  const away = new Map(Object.entries(last_seen ?? {}));
  const known = new Map(people);
  for (const user of Object.keys(receipts ?? {})) known.set(user, { online: here.has(user), last_seen: away.get(user) });
  return known;
}

/** A `presence` frame tells that somebody came or left. */
export function hear(people, { user, online, last_seen }, me) {
  return user === me ? people : new Map(people).set(user, { online, last_seen });
}

/** How many members are online; undefined if the room is too large to tell. */
export function onlineIn(state, room) {
  const known = [...room.receipts.keys()].filter((user) => state.people.has(user));
  return known.length === 0 ? undefined : known.filter((user) => state.people.get(user).online).length;
}

/** The members of a small room, who is online first, then by name: [{user, role, presence}]. */
export function membersOf(state, room) {
  return inOrder([...room.receipts.keys()].map((user) => ({ user, role: user === state.me ? (room.role ?? "member") : roleOf(room, user), presence: state.people.get(user) })));
}

/** Who is online first, then by name. */
export function inOrder(members) {
  const absent = ({ presence }) => Number(!presence?.online);
  return members.toSorted((a, b) => absent(a) - absent(b) || byName(a.user, b.user));
}

export const roleOf = (room, user) => room.roles.get(user) ?? "member";

/** Whom this person has blocked, by username; only they themselves are told. */
export const blockedPeople = (state) => new Set([...state.rooms.values()].filter(({ blocked }) => blocked).map(({ peer }) => peer));
