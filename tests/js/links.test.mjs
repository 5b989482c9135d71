import assert from "node:assert/strict";
import { test } from "node:test";

import { parts } from "../../chat/static/chat/links.js";

const hrefs = (text) => parts(text).flatMap(({ href }) => href ?? []);

test("a text without an address is one part", () => {
  assert.deepEqual(parts("Tea?"), [{ text: "Tea?" }]);
  assert.deepEqual(parts(""), [{ text: "" }]);
});

test("addresses become links and nothing of the text is lost", () => {
  const text = "See https://example.org/a?b=1#c, or (http://example.com/x_(y)). mailto:bob@example.org!";
  assert.deepEqual(hrefs(text), ["https://example.org/a?b=1#c", "http://example.com/x_(y)", "mailto:bob@example.org"]);
  assert.equal(parts(text).map((part) => part.text).join(""), text);
});

test("Chinese punctuation ends an address", () => {
  assert.deepEqual(hrefs("看https://example.org/notes，谢谢。（https://example.org/）"), ["https://example.org/notes", "https://example.org/"]);
});

test("nothing else becomes a link", () => {
  for (const text of ["javascript:alert(1)", "data:text/html,x", "JaVaScRiPt://example.org/%0aalert(1)", "file:///etc/passwd", "https://", "http://[", "xhttp://example.org", "blob:https://example.org/x"]) {
    assert.ok(hrefs(text).every((href) => href === "https://example.org/x"), text);
  }
  assert.deepEqual(hrefs("javascript:alert('https://example.org')"), ["https://example.org"]);
});
