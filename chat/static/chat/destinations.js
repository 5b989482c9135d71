// Where the switcher can lead for a few letters: one's own rooms at once, then the people and open rooms that the server finds.

import { find, nameOf } from "./rooms.js";

const ROOMS = 8;
const OTHERS = 6;

/**
 * `found` is the server's latest answer, {users, rooms}. Destinations, best first, each with a key and a name:
 * {room}, one of one's own · {user}, somebody to write to · {join}, an open room.
 */
export function destinations(state, query, found = { users: [], rooms: [] }) {
  const own = find(state.rooms.values(), query).slice(0, ROOMS);
  if (query.trim() === "") return own.map(toRoom);
  const direct = new Set(own.filter(({ kind }) => kind === "direct").map(({ peer }) => peer));
  const people = found.users.filter((user) => !direct.has(user)).slice(0, OTHERS);
  const open = found.rooms.filter(({ room }) => !state.rooms.has(room)).slice(0, OTHERS);
  return [...own.map(toRoom), ...people.map(toPerson), ...open.map(toJoin)];
}

const toRoom = (room) => ({ key: `room ${room.room}`, name: nameOf(room), room });
const toPerson = (user) => ({ key: `person ${user}`, name: user, user });
const toJoin = (room) => ({ key: `join ${room.room}`, name: room.name, join: room });
