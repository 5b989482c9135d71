import assert from "node:assert/strict";
import { test } from "node:test";

import { composes, sends } from "../../chat/static/chat/keystroke.js";

const enter = (more = {}) => ({ key: "Enter", keyCode: 13, isComposing: false, ...more });

test("Enter sends if that was chosen, with Ctrl or ⌘ always", () => {
  for (const enterSends of [true, false]) {
    assert.equal(sends(enter(), enterSends), enterSends);
    assert.equal(sends(enter({ ctrlKey: true }), enterSends), true);
    assert.equal(sends(enter({ metaKey: true }), enterSends), true);
  }
});

test("Enter with Shift or Alt never sends, and no other key does", () => {
  for (const event of [enter({ shiftKey: true }), enter({ altKey: true }), enter({ ctrlKey: true, shiftKey: true }), { key: "a", ctrlKey: true }])
    assert.equal(sends(event, true), false);
});

test("Enter never sends while one composes, nor when it ends the composition as in Safari", () => {
  for (const composing of [{ isComposing: true }, { isComposing: true, keyCode: 229 }, { keyCode: 229 }]) {
    assert.equal(composes(enter(composing)), true);
    for (const modifier of [{}, { ctrlKey: true }, { metaKey: true }])
      for (const enterSends of [true, false]) assert.equal(sends(enter({ ...composing, ...modifier }), enterSends), false);
  }
});
