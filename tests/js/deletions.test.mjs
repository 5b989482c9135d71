import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Deletions } from "../../chat/static/chat/deletions.js";
import { FakeClock, fakeMemory, message, settled } from "./fakes.mjs";

let clock, memory, told, refusals, deletions;

const open = () =>
  new Deletions({
    me: "alice",
    memory: memory.tab(),
    clock,
    tell: ({ room, seq }) => new Promise((resolve, reject) => told.push({ room, seq, resolve, reject })),
    onchange() {},
    onrefused: ({ code }) => refusals.push(code),
  });

beforeEach(() => {
  clock = new FakeClock();
  memory = fakeMemory();
  told = [];
  refusals = [];
  deletions = open();
  deletions.resume();
});

const first = message(1);
const veil = (of = deletions, seen = first) => of.veil("kitchen", [seen])[0].deleting;

async function refuse(error) {
  told.at(-1).reject(error);
  await settled();
}

test("what is deleted is gone from sight at once, and the server hears of it six seconds later", async () => {
  deletions.begin("kitchen", 1);
  assert.deepEqual(veil(), { undo: true });
  await clock.advance(5_999);
  assert.equal(told.length, 0);
  await clock.advance(1);
  assert.deepEqual(told.map(({ room, seq }) => [room, seq]), [["kitchen", 1]]);
  assert.deepEqual(veil(), { undo: false });
});

test("what was undone is there again, and nobody hears of it", async () => {
  deletions.begin("kitchen", 1);
  deletions.undo("kitchen", 1);
  assert.equal(veil(), undefined);
  await clock.advance(10_000);
  assert.equal(told.length, 0);
});

test("it stays out of sight until the room has heard of it, and never covers the tombstone", async () => {
  deletions.begin("kitchen", 1);
  await clock.advance(6_000);
  told[0].resolve({});
  await settled();
  assert.deepEqual(veil(), { undo: false });
  assert.equal(veil(deletions, message(1, { deleted: true })), undefined);
  await clock.advance(1_000);
  assert.equal(veil(), undefined);
});

test("a row that has not changed is the same object", () => {
  assert.equal(deletions.veil("kitchen", [first])[0], first);
  deletions.begin("kitchen", 1);
  assert.equal(deletions.veil("kitchen", [first])[0], deletions.veil("kitchen", [first])[0]);
  assert.equal(deletions.veil("lobby", [first])[0], first);
});

test("whoever leaves the room or the page cannot undo it any more", async () => {
  deletions.begin("kitchen", 1);
  deletions.begin("lobby", 2);
  deletions.hurry("kitchen");
  assert.deepEqual(told.map(({ room }) => room), ["kitchen"]);
  deletions.hurry();
  assert.deepEqual(told.map(({ room }) => room), ["kitchen", "lobby"]);
});

test("whoever closes one tab can still undo what they deleted in another", async () => {
  const other = open();
  other.resume();
  deletions.begin("kitchen", 1);
  other.hurry();
  assert.equal(told.length, 0);
  assert.deepEqual(veil(), { undo: true });
});

test("without a connection it waits, can be undone, and is told on the next one", async () => {
  deletions.pause();
  deletions.begin("kitchen", 1);
  await clock.advance(60_000);
  assert.deepEqual(veil(), { undo: true });
  deletions.resume();
  await clock.advance(0);
  assert.equal(told.length, 1);
});

test("what was told into a connection that broke is told again", async () => {
  deletions.begin("kitchen", 1);
  deletions.hurry();
  deletions.pause();
  await refuse({ code: "disconnected" });
  assert.deepEqual(veil(), { undo: true });
  deletions.resume();
  await clock.advance(0);
  assert.equal(told.length, 2);
});

test("a busy server is asked again; one that refuses is not, and the message is there again", async () => {
  deletions.begin("kitchen", 1);
  deletions.hurry();
  await refuse({ code: "rate_limited", retryAfter: 700 });
  await clock.advance(700);
  assert.equal(told.length, 2);
  await refuse({ code: "forbidden" });
  assert.deepEqual(refusals, ["forbidden"]);
  assert.equal(veil(), undefined);
});

test("what is not there any more is deleted", async () => {
  deletions.begin("kitchen", 1);
  deletions.hurry();
  await refuse({ code: "not_found" });
  assert.deepEqual(refusals, []);
});

test("it outlives the page", async () => {
  deletions.pause();
  deletions.begin("kitchen", 1);
  const next = open();
  assert.deepEqual(veil(next), { undo: true });
  next.resume();
  await clock.advance(6_000);
  assert.equal(told.length, 1);
});

test("all tabs show the same, and any of them can take it back", async () => {
  const other = open();
  other.resume();
  deletions.begin("kitchen", 1);
  assert.deepEqual(veil(other), { undo: true });
  other.undo("kitchen", 1);
  assert.equal(veil(), undefined);
  await clock.advance(10_000);
  assert.equal(told.length, 0);
});

test("a clock that was put back makes nobody wait", async () => {
  memory.tab().set("alice", JSON.stringify([{ room: "kitchen", seq: 1, due: clock.now() + 86_400_000 }]));
  await clock.advance(6_000);
  assert.equal(told.length, 1);
});

test("a memory that holds nonsense is forgotten, but for what makes sense", () => {
  const sound = { room: "kitchen", seq: 1, due: clock.now() };
  for (const nonsense of ["{", "7", "null", "{}", '[null, 7, {}, {"room": "kitchen"}, {"room": "kitchen", "seq": "1", "due": 1}]']) {
    memory.tab().set("alice", nonsense);
    assert.equal(veil(open()), undefined);
  }
  memory.tab().set("alice", JSON.stringify([null, { room: "kitchen", seq: 2 }, sound]));
  assert.deepEqual(veil(open()), { undo: true });
});
