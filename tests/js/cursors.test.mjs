import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Cursors } from "../../chat/static/chat/cursors.js";
import { FakeClock, message, replay, room } from "./fakes.mjs";

let clock, acks, reachable, cursors;

beforeEach(() => {
  clock = new FakeClock();
  acks = [];
  reachable = true;
  cursors = new Cursors({ clock, acknowledge: (told) => reachable && acks.push(told) });
  cursors.welcome({ epoch: "first", rooms: [room({ delivered_rev: 10 })] });
});

const at = () => cursors.everything().cursors.kitchen;

test("a new page has no cursors to tell", () => {
  assert.deepEqual(new Cursors({ clock }).everything(), {});
});

test("a room that is new here starts where this member's deliveries stand", () => {
  assert.deepEqual(cursors.everything(), { cursors: { kitchen: 10 }, epoch: "first" });
});

test("a room that is known keeps its cursor", () => {
  cursors.message(message(11));
  cursors.room(room({ delivered_rev: 4 }));
  assert.equal(at(), 11);
});

test("the next message is applied, an older one ignored, a jump asks for a resume", () => {
  assert.equal(cursors.message(message(11)), "apply");
  assert.equal(cursors.message(message(11)), "ignore");
  assert.equal(cursors.message(message(3)), "ignore");
  assert.equal(cursors.message(message(13)), "resume");
  assert.equal(at(), 11);
});

test("while a room is being resumed, further jumps ask for nothing and what fits is applied", () => {
  assert.equal(cursors.message(message(13)), "resume");
  const { cursors: told, ended } = cursors.resume("kitchen");
  assert.deepEqual(told, { kitchen: 10 });
  assert.equal(cursors.message(message(14)), "ignore");
  assert.equal(cursors.message(message(11)), "apply");
  ended();
  assert.equal(cursors.message(message(15)), "resume");
});

test("the end of an older resume does not end a newer one", () => {
  const older = cursors.resume("kitchen");
  cursors.resume("kitchen");
  older.ended();
  assert.equal(cursors.message(message(15)), "ignore");
});

test("a resume that one's leaving cut short keeps nobody who is back from the next one", () => {
  cursors.resume("kitchen");
  cursors.room({ room: "kitchen", left: true });
  cursors.room(room({ delivered_rev: 20 }));
  assert.equal(cursors.message(message(22)), "resume");
});

test("a jump during the first resume of a connection waits for its end", () => {
  cursors.everything();
  assert.equal(cursors.message(message(15)), "ignore");
  cursors.synced();
  assert.equal(cursors.message(message(15)), "resume");
});

test("a message of a room that we are not in is ignored", () => {
  assert.equal(cursors.message(message(1, { room: "elsewhere" })), "ignore");
  cursors.room({ room: "kitchen", left: true });
  assert.equal(cursors.message(message(11)), "ignore");
  assert.equal(cursors.replay(replay({ after: 10, upto: 12 })), "ignore");
});

test("a replay moves the cursor to its end, over numbers that were superseded", () => {
  assert.equal(cursors.replay(replay({ after: 10, upto: 30, messages: [message(12, { rev: 29 })] })), "apply");
  assert.equal(at(), 30);
});

test("a replay that begins beyond the cursor asks for a resume", () => {
  assert.equal(cursors.replay(replay({ after: 11, upto: 30 })), "resume");
  assert.equal(at(), 10);
});

test("a late replay never moves the cursor back", () => {
  assert.equal(cursors.replay(replay({ after: 5, upto: 8 })), "apply");
  assert.equal(at(), 10);
});

test("a reset moves the cursor wherever the server says, back too", () => {
  assert.equal(cursors.replay(replay({ after: 900, upto: 1000, reset: true })), "apply");
  assert.equal(at(), 1000);
  cursors.replay(replay({ after: 0, upto: 7, reset: true }));
  assert.equal(at(), 7);
});

test("another epoch means that nothing we have counts", () => {
  assert.equal(cursors.welcome({ epoch: "first", rooms: [] }), false);
  assert.equal(cursors.welcome({ epoch: "second", rooms: [room({ delivered_rev: 2 })] }), true);
  assert.deepEqual(cursors.everything(), { cursors: { kitchen: 2 }, epoch: "second" });
});

test("live messages are acknowledged at most once a second", async () => {
  cursors.message(message(11));
  await clock.advance(0);
  assert.deepEqual(acks, [{ kitchen: 11 }]);
  cursors.message(message(12));
  cursors.message(message(13));
  await clock.advance(999);
  assert.equal(acks.length, 1);
  await clock.advance(1);
  assert.deepEqual(acks, [{ kitchen: 11 }, { kitchen: 13 }]);
  await clock.advance(10_000);
  assert.equal(acks.length, 2);
});

test("each page of a replay is acknowledged at once", () => {
  cursors.replay(replay({ after: 10, upto: 20, complete: false }));
  cursors.replay(replay({ after: 20, upto: 30 }));
  assert.deepEqual(acks, [{ kitchen: 20 }, { kitchen: 30 }]);
});

test("what could not be acknowledged is so after the next welcome", async () => {
  reachable = false;
  cursors.message(message(11));
  await clock.advance(0);
  reachable = true;
  cursors.welcome({ epoch: "first" });
  await clock.advance(1000);
  assert.deepEqual(acks, [{ kitchen: 11 }]);
});
