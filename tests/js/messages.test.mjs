import assert from "node:assert/strict";
import { test } from "node:test";

import { Messages } from "../../chat/static/chat/messages.js";
import { message, messages } from "./fakes.mjs";

const seqs = (held) => [...held.values()].map(({ seq }) => seq).sort((a, b) => a - b);

test("what was added is there, and the one before does not know it", () => {
  const before = new Messages().with(messages(60, 70));
  const now = before.with([message(1000), message(71)]);
  assert.deepEqual(seqs(now), [60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 1000]);
  assert.deepEqual([now.size, before.size], [13, 11]);
  assert.deepEqual([now.has(71), before.has(71), now.get(71).body], [true, false, "text 71"]);
});

test("of two copies the one with the higher rev wins", () => {
  const edited = message(5, { rev: 9, body: "edited" });
  for (const order of [[message(5), edited], [edited, message(5)]]) {
    assert.equal(new Messages().with(order).get(5).body, "edited");
    assert.equal(new Messages().with([order[0]]).with([order[1]]).get(5).body, "edited");
  }
});

test("what is not kept is gone, and if all are kept nothing has changed", () => {
  const held = new Messages().with(messages(1, 200));
  assert.deepEqual(seqs(held.filter((seq) => seq > 197)), [198, 199, 200]);
  assert.equal(held.filter(() => true), held);
});
