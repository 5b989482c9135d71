import assert from "node:assert/strict";
import { test } from "node:test";

import { blockedPeople, membersOf, onlineIn } from "../../chat/static/chat/people.js";
import { empty, reduce } from "../../chat/static/chat/reducer.js";
import { room, welcome } from "./fakes.mjs";

const TEN = "2026-11-20T10:00:00.000Z";
const all = { alice: [0, 0], bob: [0, 0], charlie: [0, 0], dora: [0, 0] };
const kitchen = room({ receipts: all, online: ["charlie", "alice"], last_seen: { bob: TEN } });
const after = (...frames) => frames.reduce((state, frame) => reduce(state, frame), empty("alice"));
const presenceOf = (state, user) => state.people.get(user);
const online = (state) => onlineIn(state, state.rooms.get("kitchen"));

test("a small room tells who is online, and when the others were", () => {
  const state = after(welcome({ rooms: [kitchen] }));
  assert.equal(presenceOf(state, "charlie").online, true);
  assert.deepEqual(presenceOf(state, "bob"), { online: false, last_seen: TEN });
  assert.equal(presenceOf(state, "dora").online, false);
  assert.equal(online(state), 2);
});

test("who comes or leaves does so in every room", () => {
  const state = after(welcome({ rooms: [kitchen] }), { type: "presence", user: "bob", online: true }, { type: "presence", user: "charlie", online: false, last_seen: TEN });
  assert.equal(presenceOf(state, "bob").online, true);
  assert.deepEqual(presenceOf(state, "charlie"), { online: false, last_seen: TEN });
  assert.equal(online(state), 2);
});

test("a large room says nothing about anybody", () => {
  const state = after(welcome({ rooms: [room({ receipts: undefined, members: 900 })] }));
  assert.equal(presenceOf(state, "bob"), undefined);
  assert.equal(online(state), undefined);
  assert.deepEqual(membersOf(state, state.rooms.get("kitchen")), []);
});

test("one's own page is online before the server knows of it", () => {
  const state = after(welcome({ rooms: [room({ receipts: all, online: [] })] }));
  assert.equal(online(state), 1);
});

test("no frame makes oneself absent", () => {
  const state = after(welcome({ rooms: [kitchen] }), { type: "presence", user: "alice", online: false, last_seen: TEN });
  assert.equal(presenceOf(state, "alice").online, true);
});

test("what was known of people ends with the connection", () => {
  const state = after(welcome({ rooms: [kitchen] }), welcome({ rooms: [room({ receipts: all })] }));
  assert.equal(presenceOf(state, "charlie"), undefined);
});

test("members are listed with who is online first", () => {
  const state = after(welcome({ rooms: [kitchen] }));
  assert.deepEqual(membersOf(state, state.rooms.get("kitchen")).map(({ user }) => user), ["alice", "charlie", "bob", "dora"]);
});

test("members have the roles that the room tells, and are members otherwise", () => {
  const state = after(welcome({ rooms: [room({ receipts: all, roles: { bob: "owner" } })] }));
  assert.deepEqual(membersOf(state, state.rooms.get("kitchen")).map(({ role }) => role), ["member", "owner", "member", "member"]);
});

test("whom one has blocked is told by the direct room, until it tells otherwise", () => {
  const direct = { room: "d", kind: "direct", name: "", peer: "bob" };
  const state = after(welcome({ rooms: [kitchen, room({ ...direct, blocked: true })] }));
  assert.deepEqual([...blockedPeople(state)], ["bob"]);
  assert.deepEqual([...blockedPeople(reduce(state, room(direct)))], []);
});

test("a username that means something to JavaScript is only a name", () => {
  const frame = JSON.parse('{"online":["__proto__"],"receipts":{"__proto__":[1,1],"constructor":[1,1]}}');
  const state = after(welcome({ rooms: [{ ...room(), ...frame }] }));
  assert.equal(presenceOf(state, "__proto__").online, true);
  assert.deepEqual(presenceOf(state, "constructor"), { online: false, last_seen: undefined });
});
