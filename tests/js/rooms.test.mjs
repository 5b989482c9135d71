import assert from "node:assert/strict";
import { test } from "node:test";

import { find, inOrder, listed, nameOf, neighbour } from "../../chat/static/chat/rooms.js";
import { room } from "./fakes.mjs";

const rooms = [
  room({ room: "d1", kind: "direct", name: "", peer: "bob", seq: 1, read_seq: 1 }),
  room({ room: "g1", name: "Kitchen", seq: 3 }),
  room({ room: "g2", name: "Café am Ring" }),
  room({ room: "g3", name: "厨房闲聊" }),
  room({ room: "e", kind: "everyone", name: "Lobby" }),
];
const names = (found) => found.map(nameOf);

test("the list goes by kind, then by name", () => {
  assert.deepEqual(names(inOrder(rooms)), ["Lobby", "Café am Ring", "Kitchen", "厨房闲聊", "bob"]);
});

test("the next room after the last is the first", () => {
  assert.equal(neighbour(rooms, "e", 1), "g2");
  assert.equal(neighbour(rooms, "e", -1), "d1");
  assert.equal(neighbour(rooms, "d1", 1), "e");
  assert.equal(neighbour(rooms, null, 1), "e");
  assert.equal(neighbour(rooms, null, -1), "d1");
  assert.equal(neighbour([], null, 1), undefined);
});

test("a direct room in which nobody has said anything is not in the list, unless one is about to", () => {
  const some = [...rooms, room({ room: "d2", kind: "direct", name: "", peer: "dora" })];
  assert.ok(!names(listed(some)).includes("dora"));
  assert.ok(names(listed(some, (id) => id === "d2")).includes("dora"));
  assert.equal(neighbour(some, "d1", 1), "e");
  assert.equal(neighbour(some, "d2", 1), "e");
});

test("what is archived comes last, and no step leads there", () => {
  const some = [room({ room: "old", name: "A club", archived: true }), ...rooms];
  assert.equal(names(inOrder(some)).at(-1), "A club");
  assert.equal(neighbour(some, "d1", 1), "e");
  assert.equal(neighbour(some, "old", 1), "e");
});

test("a few letters find a room, whatever their case or accents", () => {
  assert.deepEqual(names(find(rooms, "kit")), ["Kitchen"]);
  assert.deepEqual(names(find(rooms, "CAFE")), ["Café am Ring"]);
  assert.deepEqual(names(find(rooms, "闲聊")), ["厨房闲聊"]);
  assert.deepEqual(names(find(rooms, " b ")), ["bob", "Lobby"]);
  assert.deepEqual(names(find(rooms, "nothing")), []);
});

test("what begins so comes before what contains it", () => {
  const some = ["Old kitchen", "Mykitchen", "Kitchen"].map((name) => room({ room: name, name }));
  assert.deepEqual(names(find(some, "kitchen")), ["Kitchen", "Old kitchen", "Mykitchen"]);
});

test("before anything is typed, what is unread comes first", () => {
  assert.deepEqual(names(find(rooms, "")), ["Kitchen", "Lobby", "Café am Ring", "厨房闲聊", "bob"]);
});
