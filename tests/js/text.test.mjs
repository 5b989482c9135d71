import assert from "node:assert/strict";
import { test } from "node:test";

import { listNames, presenceWords, typingWords } from "../../chat/static/chat/text.js";

const now = new Date(2026, 10, 20, 12, 0).getTime();
const seen = (...when) => presenceWords({ online: false, last_seen: new Date(...when).toISOString() }, now);

test("presence is told as a person would", () => {
  assert.equal(presenceWords({ online: true }), "online");
  assert.equal(presenceWords({ online: false }), "offline");
  assert.equal(seen(2026, 10, 20, 10, 5), "last seen 10:05");
  assert.equal(seen(2026, 10, 19, 23, 59), "last seen yesterday");
  assert.match(seen(2026, 9, 1, 10, 5), /^last seen .*2026/);
});

test("typing names up to two people", () => {
  assert.equal(typingWords([]), "");
  assert.equal(typingWords(["bob"]), "bob is typing…");
  assert.equal(typingWords(["bob", "charlie"]), "bob and charlie are typing…");
  assert.equal(typingWords(["bob", "charlie", "dora"]), "3 people are typing…");
});

test("a list of names ends before it bores", () => {
  assert.equal(listNames(["bob"]), "bob");
  assert.match(listNames(["bob", "charlie"]), /^bob and charlie$/);
  assert.equal(listNames(["a", "b", "c", "d"], 2), "a, b and 2 more");
  assert.match(listNames(["a", "b", "c"], 2), /c$/);
});
