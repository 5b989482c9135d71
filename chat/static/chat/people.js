// Who is online and when the others were, as far as small rooms tell: a Map of username → {online, last_seen?}. Who is not in it is unknown.

/** A `room` frame tells how it is with all its members, if it is a small one. */
export function introduce(people, { online, last_seen, receipts }) {
  if (!online) return people;
  const here = new Set(online);
  const away = new Map(Object.entries(last_seen ?? {}));
  const known = new Map(people);
  for (const user of Object.keys(receipts ?? {})) known.set(user, { online: here.has(user), last_seen: away.get(user) });
  return known;
}

/** A `presence` frame tells that somebody came or left. */
export function hear(people, { user, online, last_seen }) {
  return new Map(people).set(user, { online, last_seen });
}

/** {online, last_seen?} of somebody; undefined if it is not known. One's own page is there, whatever the server knows of it yet. */
export const presenceOf = ({ people, me }, user) => (user === me ? { online: true } : people.get(user));

/** How many members are online; undefined if the room is too large to tell. */
export function onlineIn(state, room) {
  const known = [...room.receipts.keys()].filter((user) => state.people.has(user));
  return known.length === 0 ? undefined : known.filter((user) => presenceOf(state, user).online).length;
}

/** The members of a small room: who is online first, then by name. */
export function membersOf(state, room) {
  const members = [...room.receipts.keys()].map((user) => ({ user, presence: presenceOf(state, user) }));
  const absent = ({ presence }) => Number(!presence?.online);
  return members.sort((a, b) => absent(a) - absent(b) || a.user.localeCompare(b.user));
}
