import assert from "node:assert/strict";
import { test } from "node:test";

import { rows } from "../../chat/static/chat/timeline.js";
import { message } from "./fakes.mjs";

const at = (time, day = "2026-11-20") => new Date(`${day}T${time}`).toISOString();
const receipts = (entries) => ({ receipts: new Map(Object.entries(entries)) });

const timeline = ({ messages = [], waiting = [], newAfter = null, room = receipts({}) }) => rows({ room, messages, waiting, newAfter, me: "alice" });

const outline = (all) => all.map(({ kind, message, opens }) => (kind === "message" ? `${opens ? "+" : " "}${message.sender}` : kind));

test("messages of one sender within five minutes are grouped", () => {
  const messages = [message(1, { at: at("10:00") }), message(2, { at: at("10:04") }), message(3, { at: at("10:09") }), message(4, { at: at("10:09"), sender: "charlie" })];
  assert.deepEqual(outline(timeline({ messages })), ["day", "+bob", " bob", "+bob", "+charlie"]);
});

test("an announcement stands by itself, whoever makes it", () => {
  const messages = [message(1, { at: at("10:00") }), message(2, { at: at("10:01"), announcement: true }), message(3, { at: at("10:02") })];
  assert.deepEqual(outline(timeline({ messages })), ["day", "+bob", "+bob", "+bob"]);
});

test("a row tells whether it is of somebody whom one does not want to hear", () => {
  const messages = [message(1), message(2, { sender: "charlie" })];
  const all = rows({ room: receipts({}), messages, waiting: [], newAfter: null, me: "alice", isFolded: ({ sender }) => sender === "charlie" });
  assert.deepEqual(all.slice(1).map(({ folded }) => folded), [false, true]);
});

test("each day has its line", () => {
  const messages = [message(1, { at: at("23:59") }), message(2, { at: at("00:01", "2026-11-21") })];
  assert.deepEqual(outline(timeline({ messages })), ["day", "+bob", "day", "+bob"]);
});

test("a room says that it is empty only when nothing was ever written there", () => {
  const room = { ...receipts({}), first_seq: 1, seq: 0 };
  const waiting = [{ id: "x", room: "kitchen", body: "hello", at: Date.parse(message(1).at), state: "sending" }];
  assert.deepEqual(outline(timeline({ room })), ["empty"]);
  assert.deepEqual(outline(timeline({ room, waiting })), ["day", "+alice"]);
  assert.deepEqual(outline(timeline({ room: { ...room, seq: 5 } })), []);
});

test("where older messages are no longer kept, that stands before the first", () => {
  const room = { ...receipts({}), first_seq: 3, seq: 4 };
  assert.deepEqual(outline(timeline({ room, messages: [message(3), message(4)] })), ["gone", "day", "+bob", " bob"]);
  assert.deepEqual(outline(timeline({ room, messages: [message(4)] })), ["day", "+bob"]);
  assert.deepEqual(outline(timeline({ room: { ...room, first_seq: 5 } })), ["gone"]);
});

test("the divider stands before the first new message and never before what is on its way", () => {
  const messages = [message(1), message(2)];
  const waiting = [{ id: "x", room: "kitchen", body: "hello", at: Date.parse(message(1).at), state: "sending" }];
  assert.deepEqual(outline(timeline({ messages, newAfter: 1 })), ["day", "+bob", "new", "+bob"]);
  assert.deepEqual(outline(timeline({ messages, waiting, newAfter: 2 })), ["day", "+bob", " bob", "+alice"]);
});

test("a stretch amid new messages has no divider", () => {
  const messages = [message(8), message(9)];
  assert.deepEqual(outline(timeline({ messages, newAfter: 6 })), ["day", "+bob", " bob"]);
  assert.deepEqual(outline(timeline({ messages, newAfter: 7 })), ["day", "new", "+bob", " bob"]);
  const room = { ...receipts({}), first_seq: 8, seq: 9 };
  assert.deepEqual(outline(timeline({ messages, newAfter: 3, room })), ["gone", "day", "new", "+bob", " bob"]);
});

test("a post keeps its row when it becomes a message", () => {
  const waiting = [{ id: "x", body: "hello", at: 1, state: "sending" }];
  const [, sending] = timeline({ waiting });
  const [, there] = timeline({ messages: [message(1, { id: "x", sender: "alice" })] });
  assert.equal(sending.key, there.key);
  assert.deepEqual([sending.mark, there.mark], ["sending", "sent"]);
});

test("marks say up to where one's own messages got", () => {
  const messages = [1, 2, 3, 4, 5].map((seq) => message(seq, { sender: "alice" }));
  const room = receipts({ alice: [5, 5], bob: [4, 2] });
  assert.deepEqual(timeline({ messages, room }).slice(1).map(({ mark }) => mark), [undefined, "read", undefined, "delivered", "sent"]);
});

test("a row tells who has read up to it and who has read it at all", () => {
  const messages = [1, 2, 3].map((seq) => message(seq, { sender: "alice" }));
  const room = { ...receipts({ alice: [3, 3], bob: [3, 3], charlie: [3, 1] }), kind: "group", seq: 3 };
  const [, first, second, third] = timeline({ messages, room });
  assert.deepEqual([first.readers, first.readBy], [["charlie"], ["bob", "charlie"]]);
  assert.equal(second.readers, undefined);
  assert.deepEqual([third.readers, third.readBy], [["bob"], ["bob"]]);
});

test("equal ids of two senders are two rows", () => {
  const keys = timeline({ messages: [message(1, { id: "x" }), message(2, { id: "x", sender: "charlie" })] }).map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length);
});
