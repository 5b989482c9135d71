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

test("an address may lack its scheme", () => {
  const text = "www.roost.example, Www.roost.example, example.org/menu?today#soup; (docs.example.com:8000/) and alice@example.org. 看example.cn/吧";
  assert.deepEqual(hrefs(text), [
    "https://www.roost.example",
    "https://Www.roost.example",
    "https://example.org/menu?today#soup",
    "https://docs.example.com:8000/",
    "mailto:alice@example.org",
    "https://example.cn/吧",
  ]);
  assert.equal(parts(text).map((part) => part.text).join(""), text);
});

test("what merely has a dot in it is no address", () => {
  const words = "e.g. i.e. file.py README.md node.js main.rs run.sh ASP.NET Socket.IO done.it 3.14 1.com.2 v1.2.3 a.b.c ...com .org @example.org app.org.py example.orgy www. www.x ~example.org/x C:\\x.com";
  for (const word of words.split(" ")) assert.deepEqual(hrefs(word), [], word);
});

test("an address keeps the scheme that it has, and no other is made of it", () => {
  assert.deepEqual(hrefs("HTTPS://example.org/ ftp://example.org/x javascript:example.org/x //example.org"), ["HTTPS://example.org/"]);
});

test("a long text that begins like addresses is looked through in no time", () => {
  for (const beginning of ["a", "a.", "a-", "www.", "a@", "a.a-", "a.com.", "a.com/"]) {
    const text = beginning.repeat(1000);
    assert.equal(parts(text).map((part) => part.text).join(""), text);
  }
});
