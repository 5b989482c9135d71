import assert from "node:assert/strict";
import { test } from "node:test";

import { mayWriteAt } from "../../chat/static/chat/pace.js";
import { empty, reduce } from "../../chat/static/chat/reducer.js";
import { message, room, welcome } from "./fakes.mjs";

const own = (seq, at) => message(seq, { sender: "alice", at });
const slow = (frame = {}) => room({ slow_mode: 30, role: "member", ...frame });
const after = (...frames) => frames.reduce((state, frame) => reduce(state, frame), empty("alice"));
const at = (state) => (mayWriteAt(state, "kitchen") === 0 ? 0 : new Date(mayWriteAt(state, "kitchen")).toISOString());

const said = [own(1, "2026-11-20T10:00:00.000Z"), message(2, { at: "2026-11-20T10:00:20.000Z" })];

test("in slow mode one waits since one's own last words", () => {
  assert.equal(at(after(welcome({ rooms: [slow()] }), ...said)), "2026-11-20T10:00:30.000Z");
});

test("what waits in the outbox comes first", () => {
  const waiting = { type: "outbox", items: [{ id: "1", room: "kitchen", state: "sending" }, { id: "2", room: "kitchen", state: "failed" }, { id: "3", room: "lobby", state: "sending" }] };
  assert.equal(at(after(welcome({ rooms: [slow()] }), ...said, waiting)), "2026-11-20T10:01:00.000Z");
});

test("nobody waits who has said nothing, moderates, or is where there is no slow mode", () => {
  assert.equal(at(after(welcome({ rooms: [slow()] }), message(1))), 0);
  assert.equal(at(after(welcome({ rooms: [slow({ role: "moderator" })] }), ...said)), 0);
  assert.equal(at(after(welcome({ rooms: [slow({ slow_mode: undefined })] }), ...said)), 0);
  assert.equal(at(after(welcome())), 0);
});
