import assert from "node:assert/strict";
import { test } from "node:test";

import { byName, initials } from "../../chat/static/chat/names.js";

globalThis.document = { documentElement: { lang: "zh-hans" } };

test("names are in the order that people expect", () => {
  assert.deepEqual(["张伟", "李娜", "陈静", "王芳"].sort(byName), ["陈静", "李娜", "王芳", "张伟"]);
  assert.deepEqual(["Room 10", "éclair", "Room 9", "Eclipse"].sort(byName), ["éclair", "Eclipse", "Room 9", "Room 10"]);
});

test("a name is shortened to what tells it from others", () => {
  assert.equal(initials("alice"), "A");
  assert.equal(initials("Alice B. Adams"), "AA");
  assert.equal(initials("bob.the-builder"), "BB");
  assert.equal(initials("王小明"), "明");
  assert.equal(initials("李 娜"), "李娜");
  assert.equal(initials("𠮷野家厨房小组"), "𠮷");
  assert.equal(initials(" "), "");
});
