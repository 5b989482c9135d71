import assert from "node:assert/strict";
import { test } from "node:test";

import { empty, onShow, pending, reduce, release, unread, unreadInAll } from "../../chat/static/chat/reducer.js";
import { message, messages, replay, room, welcome } from "./fakes.mjs";

const after = (...frames) => frames.reduce((state, frame) => reduce(state, frame), empty("alice"));
const kitchen = (state) => state.rooms.get("kitchen");
const look = (at = null) => ({ type: "look", room: "kitchen", at });
const history = (from, to, more = {}) => ({ type: "history", room: "kitchen", messages: messages(from, to), more_before: from > 1, more_after: false, ...more });
const shown = (state) => onShow(kitchen(state)).messages.map(({ seq }) => seq);

test("unread is the room's last place minus the place read", () => {
  const state = after(welcome({ rooms: [room({ seq: 9, read_seq: 4 }), room({ room: "lobby", seq: 2, read_seq: 1 })] }));
  assert.equal(unread(kitchen(state)), 5);
  assert.equal(unreadInAll(state), 6);
});

test("what was marked as unread is, and what is gone is not", () => {
  const marked = { seq: 9, read_seq: 9, unread_from: 7 };
  assert.equal(unread(kitchen(after(welcome({ rooms: [room(marked)] })))), 3);
  assert.equal(unread(kitchen(after(welcome({ rooms: [room({ ...marked, unread_from: 1, first_seq: 5 })] })))), 5);
  assert.equal(unread(kitchen(after(welcome({ rooms: [room({ ...marked, read_seq: 4 })] })))), 5);
});

test("what a room leaves out is as usual, whatever it was", () => {
  const state = after(welcome({ rooms: [room({ archived: true, open: true, notify: "none", unread_from: 1, roles: { bob: "owner" }, seq: 1, read_seq: 1 })] }));
  const { archived, open, notify, roles } = kitchen(state);
  assert.deepEqual([archived, open, notify, roles.get("bob"), unread(kitchen(state))], [true, true, "none", "owner", 1]);
  const usual = kitchen(reduce(state, room()));
  assert.deepEqual([usual.archived, usual.open, usual.notify, usual.roles.size, unread(usual)], [false, false, "all", 0, 0]);
});

test("a message of somebody else is unread, one's own is read", () => {
  const state = after(welcome({ rooms: [room()] }), message(1), message(2));
  assert.equal(unread(kitchen(state)), 2);
  assert.equal(unread(kitchen(reduce(state, message(3, { sender: "alice" })))), 0);
});

test("reading in another tab is reading here", () => {
  const state = after(welcome({ rooms: [room({ seq: 5 })] }), { type: "receipt", room: "kitchen", user: "alice", delivered_rev: 5, read_seq: 4 });
  assert.equal(unread(kitchen(state)), 1);
});

test("of two copies of a message the one with the higher rev wins, whatever frame brought it", () => {
  const edited = message(1, { rev: 4, body: "edited" });
  for (const frames of [[edited, history(1, 3)], [history(1, 3), edited], [replay({ messages: [edited], upto: 4 }), history(1, 3)]]) {
    const state = after(welcome({ rooms: [room({ seq: 3, rev: 3 })] }), look(), ...frames);
    assert.equal(kitchen(state).messages.get(1).body, "edited");
  }
});

test("the window is an unbroken run: it grows with history and live messages, and shows no hole", () => {
  let state = after(welcome({ rooms: [room({ seq: 10, rev: 10 })] }), look());
  assert.deepEqual(onShow(kitchen(state)), { messages: [], moreBefore: true, moreAfter: false });
  state = reduce(state, message(11));
  assert.deepEqual(shown(state), [11]);
  state = reduce(state, history(8, 10));
  assert.deepEqual(shown(state), [8, 9, 10, 11]);
  state = reduce(state, replay({ messages: [message(13, { rev: 13 })], after: 11, upto: 13 }));
  assert.deepEqual(shown(state), [8, 9, 10, 11]);
  assert.equal(onShow(kitchen(state)).moreAfter, true);
  state = reduce(state, message(12, { rev: 14 }));
  assert.deepEqual(shown(state), [8, 9, 10, 11, 12, 13]);
});

test("a permalink opens a window of its own, which joins the newest when they meet", () => {
  let state = after(welcome({ rooms: [room({ seq: 100, rev: 100 })] }), look(), history(99, 100), look(50), history(49, 51));
  assert.deepEqual(shown(state), [49, 50, 51]);
  assert.equal(onShow(kitchen(state)).moreAfter, true);
  state = reduce(state, message(101));
  assert.deepEqual(shown(state), [49, 50, 51]);
  state = reduce(state, history(52, 98));
  assert.equal(shown(state).at(-1), 101);
  assert.equal(onShow(kitchen(state)).moreAfter, false);
});

test("looking at a message that is on show keeps the window", () => {
  const state = after(welcome({ rooms: [room({ seq: 9, rev: 9 })] }), look(), history(1, 9), look(4));
  assert.equal(shown(state).length, 9);
});

test("where the server's history begins, nothing more is asked for", () => {
  let state = after(welcome({ rooms: [room({ seq: 9, rev: 9 })] }), look(), history(5, 9, { more_before: false }));
  assert.equal(onShow(kitchen(state)).moreBefore, false);
  state = after(welcome({ rooms: [room({ seq: 9, rev: 9 })] }), look(), { type: "history", room: "kitchen", messages: [], more_before: false });
  assert.equal(onShow(kitchen(state)).moreBefore, false);
});

test("a reset throws the room's copy away and takes what comes", () => {
  const state = after(
    welcome({ rooms: [room({ seq: 3, rev: 3 })] }),
    look(),
    history(1, 3),
    room({ seq: 900, rev: 900 }),
    replay({ messages: messages(800, 900), after: 799, upto: 900, reset: true }),
  );
  assert.equal(kitchen(state).messages.has(1), false);
  assert.deepEqual([shown(state)[0], shown(state).at(-1)], [800, 900]);
});

test("another epoch drops every room, the outbox stays", () => {
  const item = { id: "x", room: "kitchen", body: "hello", at: 1, state: "sending" };
  const state = after(welcome({ rooms: [room({ seq: 3 }), room({ room: "gone" })] }), { type: "outbox", items: [item] }, welcome({ epoch: "second", rooms: [room({ seq: 1 })] }));
  assert.deepEqual([...state.rooms.keys()], ["kitchen"]);
  assert.equal(kitchen(state).seq, 1);
  assert.deepEqual(state.outbox, [item]);
});

test("heads only go back when a new connection says so", () => {
  const state = after(welcome({ rooms: [room({ seq: 9, rev: 9 })] }), room({ seq: 7, rev: 7, name: "New name" }));
  assert.deepEqual([kitchen(state).seq, kitchen(state).name], [9, "New name"]);
  assert.equal(kitchen(reduce(state, welcome({ rooms: [room({ seq: 7, rev: 7 })] }))).seq, 7);
});

test("a room that is slow no more says so by silence", () => {
  const slow = after(welcome({ rooms: [room({ slow_mode: 30 })] }));
  assert.equal(kitchen(slow).slow_mode, 30);
  assert.equal(kitchen(reduce(slow, room())).slow_mode, 0);
});

test("what a room no longer keeps is gone here as well", () => {
  const seen = welcome({ rooms: [room({ seq: 9, rev: 9 })] });
  let state = after(seen, look(), history(1, 9), room({ seq: 9, rev: 9, first_seq: 6 }));
  assert.deepEqual(shown(state), [6, 7, 8, 9]);
  assert.equal(kitchen(state).messages.has(5), false);
  assert.equal(onShow(kitchen(state)).moreBefore, false);
  state = after(seen, look(), history(1, 9), room({ seq: 9, rev: 9, first_seq: 10 }));
  assert.deepEqual(onShow(kitchen(state)), { messages: [], moreBefore: false, moreAfter: false });
});

test("a room that one left is gone", () => {
  assert.equal(after(welcome({ rooms: [room()] }), { type: "room", room: "kitchen", left: true }).rooms.size, 0);
});

test("a post shows once at every moment from sending to message", () => {
  const item = { id: "x", room: "kitchen", body: "hello", at: 1, state: "sending" };
  const posted = { type: "posted", id: "x", room: "kitchen", seq: 1, rev: 1, at: "2026-11-20T10:00:00.000Z" };
  const own = message(1, { id: "x", sender: "alice", body: "hello" });
  const sending = after(welcome({ rooms: [room()] }), look(), { type: "outbox", items: [item] });
  const steps = [posted, { type: "outbox", items: [] }, own];
  for (const order of [steps, [own, posted, steps[1]], [posted, own, steps[1]]]) {
    let state = sending;
    for (const step of order) {
      state = reduce(state, step);
      assert.equal(pending(state, kitchen(state)).length + shown(state).length, 1);
    }
    assert.deepEqual(shown(state), [1]);
    assert.equal(state.posted.size, 0);
  }
});

test("a retry of what was applied long ago shows nothing at the end", () => {
  const state = after(
    welcome({ rooms: [room({ seq: 9, rev: 9, delivered_rev: 9 })] }),
    { type: "outbox", items: [{ id: "x", room: "kitchen", body: "hello", at: 1, state: "sending" }] },
    { type: "posted", id: "x", room: "kitchen", seq: 4, rev: 4, at: "2026-11-20T10:00:00.000Z" },
    { type: "outbox", items: [] },
  );
  assert.deepEqual(pending(state, kitchen(state)), []);
});

test("somebody else's message with the id of one's own post hides nothing", () => {
  const item = { id: "x", room: "kitchen", body: "hello", at: 1, state: "sending" };
  const state = after(welcome({ rooms: [room()] }), { type: "outbox", items: [item] }, message(1, { id: "x", sender: "mallory" }));
  assert.equal(pending(state, kitchen(state)).length, 1);
});

test("a receipt never goes back", () => {
  const receipt = (read_seq) => ({ type: "receipt", room: "kitchen", user: "bob", delivered_rev: 9, read_seq });
  const state = after(welcome({ rooms: [room({ receipts: { bob: [9, 7] } })] }), receipt(8), receipt(3));
  assert.deepEqual(kitchen(state).receipts.get("bob"), [9, 8]);
  assert.deepEqual(kitchen(reduce(state, room({ receipts: { bob: [2, 2] } }))).receipts.get("bob"), [9, 8]);
});

test("in a room that tells no receipts, one that passes by means nothing", () => {
  const state = after(welcome({ rooms: [room()] }), { type: "receipt", room: "kitchen", user: "bob", delivered_rev: 9, read_seq: 9 });
  assert.equal(kitchen(state).receipts.size, 0);
});

test("names that mean something to JavaScript are only names", () => {
  const frame = JSON.parse('{"type":"room","room":"__proto__","receipts":{"__proto__":[1,1]},"rev":0,"seq":0,"read_seq":0,"delivered_rev":0}');
  const state = after(welcome(), frame);
  assert.deepEqual(state.rooms.get("__proto__").receipts.get("__proto__"), [1, 1]);
});

test("a room that nobody looks at keeps its newest messages", () => {
  const state = release(after(welcome({ rooms: [room()] }), replay({ messages: messages(1, 401), upto: 401 })), "kitchen");
  assert.equal(kitchen(state).messages.size, 200);
  assert.deepEqual(shown(reduce(state, look())).length, 200);
});

test("of ten thousand messages those are kept that are near, and the newest", () => {
  let state = after(welcome({ rooms: [room({ seq: 10_000, rev: 10_000 })] }), look());
  for (let last = 10_000; last > 0; last -= 100) {
    state = release(reduce(reduce(state, history(last - 99, last)), look(last - 50)), "kitchen");
    assert.ok(kitchen(state).messages.size <= 1_800);
    assert.equal(shown(state).length, kitchen(state).window[1] - kitchen(state).window[0] + 1);
    assert.ok(shown(state).every(Number.isInteger));
  }
  assert.equal(shown(state)[0], 1);
  assert.equal(onShow(kitchen(state)).moreAfter, true);
  assert.equal(shown(reduce(state, look())).at(-1), 10_000);
});

test("whoever stays at the newest keeps it, however many arrive", () => {
  let state = after(welcome({ rooms: [room()] }), look());
  for (let seq = 1; seq <= 3_000; seq++) state = release(reduce(state, message(seq)), "kitchen");
  assert.equal(shown(state).at(-1), 3_000);
  assert.ok(shown(state).length <= 1_800);
});

test("a frame it does not know changes nothing", () => {
  const state = after(welcome({ rooms: [room()] }));
  assert.equal(reduce(state, { type: "confetti", room: "kitchen" }), state);
});
