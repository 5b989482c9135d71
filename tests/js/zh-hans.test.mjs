import assert from "node:assert/strict";
import { test } from "node:test";

import { english, listNames, presenceWords, text, typingWords } from "../../chat/static/chat/text.js";
import { chinese } from "../../chat/static/chat/zh-hans.js";

const sentences = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry));
const placeholders = (entry) => [...new Set(sentences(entry).flatMap((sentence) => sentence.match(/\{\w+\}/g) ?? []))].sort();

test("every text is there in Chinese, and no other", () => {
  assert.deepEqual(Object.keys(chinese).sort(), Object.keys(english).sort());
});

test("what is filled into a text is filled into its translation", () => {
  for (const [key, entry] of Object.entries(english)) assert.deepEqual(placeholders(chinese[key]), placeholders(entry), key);
});

test("nothing is left in English", () => {
  for (const [key, entry] of Object.entries(chinese)) for (const sentence of sentences(entry)) assert.match(sentence, /[\u3000-\u9fff]/, key);
});

test("the page speaks what was loaded", () => {
  globalThis.document = { documentElement: { lang: "zh-hans" } };
  assert.equal(text("unread", { count: 1 }), "1 条未读消息");
  assert.equal(typingWords(["小明", "bob"]), "小明 和 bob 正在输入…");
  assert.equal(listNames(["小明", "小红", "小刚"]), "小明、小红和小刚");
  assert.match(presenceWords({ online: false, last_seen: "2024-03-05T12:00:00Z" }), /^上次在线：2024年3月5日$/);
  delete globalThis.document;
});
