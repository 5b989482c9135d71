import assert from "node:assert/strict";
import { test } from "node:test";

import { marks, progress, readBy, readers } from "../../chat/static/chat/receipts.js";
import { message, messages } from "./fakes.mjs";

const room = (receipts, frame = {}) => ({ kind: "group", seq: 5, receipts: new Map(Object.entries(receipts)), ...frame });

test("a message is delivered or read when everybody else got that far", () => {
  const own = message(5, { sender: "alice" });
  const withReceipts = (receipts) => progress(room(receipts), own, "alice");
  assert.equal(withReceipts({}), "sent");
  assert.equal(withReceipts({ alice: [5, 5], bob: [4, 4] }), "sent");
  assert.equal(withReceipts({ alice: [5, 5], bob: [5, 4] }), "delivered");
  assert.equal(withReceipts({ alice: [5, 5], bob: [5, 5], charlie: [5, 4] }), "delivered");
  assert.equal(withReceipts({ alice: [5, 5], bob: [5, 5], charlie: [9, 9] }), "read");
});

test("marks say up to where one's own messages got", () => {
  const own = [1, 2, 3, 4, 5].map((seq) => message(seq, { sender: "alice" }));
  const found = marks(room({ alice: [5, 5], bob: [4, 2] }), own, "alice");
  assert.deepEqual([...found].sort(), [[2, "read"], [4, "delivered"], [5, "sent"]]);
});

test("an older message that was edited since gets no second mark", () => {
  const own = [message(1, { sender: "alice", rev: 3 }), message(2, { sender: "alice" })];
  assert.deepEqual([...marks(room({ alice: [3, 2], bob: [2, 0] }, { seq: 2 }), own, "alice")], [[2, "delivered"]]);
});

test("mark and face leave a message that was deleted together, for the one before it", () => {
  const own = [message(1, { sender: "alice" }), message(2, { sender: "alice", rev: 3, deleted: true, body: undefined })];
  const told = room({ alice: [3, 2], bob: [3, 2] }, { seq: 2 });
  assert.deepEqual([...marks(told, own, "alice")], [[1, "read"]]);
  assert.deepEqual([...readers(told, own, "alice")], [[1, ["bob"]]]);
});

test("a face stands at the last message that its owner has read", () => {
  const found = readers(room({ alice: [5, 5], charlie: [5, 3], bob: [5, 2], dora: [5, 3] }), messages(1, 5).map((one) => ({ ...one, sender: "alice" })), "alice");
  assert.deepEqual([...found].sort(), [[2, ["bob"]], [3, ["charlie", "dora"]]]);
});

test("nobody is shown to have read their own words, nor anybody in a direct room", () => {
  const said = messages(1, 5);
  assert.equal(readers(room({ alice: [5, 5], bob: [5, 5] }), said, "alice").size, 0);
  assert.equal(readers(room({ alice: [5, 5], bob: [5, 5] }, { kind: "direct" }), said, "alice").size, 0);
});

test("who has read further than what is on show has no place in it, who has read less neither", () => {
  const shown = messages(3, 4).map((one) => ({ ...one, sender: "alice" }));
  assert.equal(readers(room({ bob: [9, 5] }), shown, "alice").size, 0);
  assert.equal(readers(room({ bob: [9, 2] }), shown, "alice").size, 0);
  assert.deepEqual([...readers(room({ bob: [9, 5] }, { seq: 4 }), shown, "alice")], [[4, ["bob"]]]);
});

test("whoever is further on has read what comes before", () => {
  const told = room({ alice: [5, 5], bob: [5, 5], charlie: [5, 3], dora: [5, 2] });
  assert.deepEqual(readBy(told, message(3, { sender: "alice" }), "alice"), ["bob", "charlie"]);
  assert.deepEqual(readBy(told, message(3, { sender: "bob" }), "alice"), ["charlie"]);
});
