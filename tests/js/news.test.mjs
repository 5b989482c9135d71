import assert from "node:assert/strict";
import { test } from "node:test";

import { news } from "../../chat/static/chat/news.js";
import { empty, reduce } from "../../chat/static/chat/reducer.js";
import { message, room, welcome } from "./fakes.mjs";

const KITCHEN = { rev: 3, seq: 3, read_seq: 1 };

const withRooms = (...rooms) => reduce(empty("alice"), welcome({ rooms: rooms.map(room) }));
const newsOf = (messages, kitchen = {}, ...others) => news(withRooms({ ...KITCHEN, ...kitchen }, ...others), "kitchen", messages);

test("the newest message is told, with how many are unread", () => {
  const told = newsOf([message(2), message(3)]);
  assert.deepEqual([told.room.name, told.count, told.message.body], ["Kitchen", 2, "text 3"]);
});

test("what the system says is news, too", () => {
  assert.equal(newsOf([message(2, { sender: null })]).message.seq, 2);
});

test("own messages, read ones, edits and deletions are no news", () => {
  assert.equal(newsOf([message(3, { sender: "alice" })]), null);
  assert.equal(newsOf([message(1)]), null);
  assert.equal(newsOf([message(3, { edited_at: "2026-11-20T10:00:00.000Z" })]), null);
  assert.equal(newsOf([message(3, { deleted: true })]), null);
});

test("among several messages the newest that is news is told", () => {
  assert.equal(newsOf([message(2), message(3, { sender: "alice" })]).message.seq, 2);
});

test("a muted room, and one that is left, are silent", () => {
  assert.equal(newsOf([message(3)], { notify: "none" }), null);
  assert.equal(news(withRooms(), "kitchen", [message(3)]), null);
});

test("whoever is blocked says nothing, wherever it is", () => {
  const direct = { room: "direct", kind: "direct", name: "", peer: "bob", blocked: true };
  assert.equal(newsOf([message(3)], {}, direct), null);
  assert.equal(newsOf([message(3)], {}, { ...direct, blocked: undefined }).message.seq, 3);
});
