import assert from "node:assert/strict";
import { test } from "node:test";

import { destinations } from "../../chat/static/chat/destinations.js";
import { empty, reduce } from "../../chat/static/chat/reducer.js";
import { room, welcome } from "./fakes.mjs";

const state = reduce(
  empty("alice"),
  welcome({
    rooms: [
      room({ room: "kitchen", name: "Kitchen", seq: 1 }),
      room({ room: "bob", kind: "direct", name: "", peer: "bob", seq: 1, read_seq: 1 }),
      room({ room: "dora", kind: "direct", name: "", peer: "dora" }),
      room({ room: "old", name: "Old bookings", archived: true, seq: 2 }),
    ],
  }),
);
const found = (query, answer) => destinations(state, query, answer).map(({ key }) => key);

test("before anything is typed there are one's own rooms, what is unread first", () => {
  assert.deepEqual(found(""), ["room kitchen", "room bob"]);
});

test("one's own rooms are there at once, and the server's answer behind them", () => {
  assert.deepEqual(found("bo"), ["room bob", "room old"]);
  const answer = { users: ["bob", "bobby"], rooms: [{ room: "books", name: "Books", kind: "group", members: 4 }] };
  assert.deepEqual(found("bo", answer), ["room bob", "room old", "person bobby", "join books"]);
});

test("a room that one has joined meanwhile is not offered to join", () => {
  assert.deepEqual(found("kit", { users: [], rooms: [{ room: "kitchen", name: "Kitchen", kind: "group", members: 2 }] }), ["room kitchen"]);
});
