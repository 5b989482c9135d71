import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Typing } from "../../chat/static/chat/typing.js";
import { FakeClock } from "./fakes.mjs";

let clock, said, reachable, typing;

beforeEach(() => {
  clock = new FakeClock();
  said = [];
  reachable = true;
  typing = new Typing({ clock, say: (room) => reachable && said.push(room), onchange() {} });
});

test("whoever types all the time says so every three seconds", async () => {
  for (let second = 0; second < 7; second++) {
    typing.type("kitchen");
    await clock.advance(1000);
  }
  assert.equal(said.length, 3);
});

test("each room is told for itself", () => {
  typing.type("kitchen");
  typing.type("lobby");
  assert.deepEqual(said, ["kitchen", "lobby"]);
});

test("what could not be said is said as soon as it can be", () => {
  reachable = false;
  typing.type("kitchen");
  reachable = true;
  typing.type("kitchen");
  assert.equal(said.length, 1);
});

test("somebody types for six seconds after the last time it was heard", async () => {
  typing.hear("kitchen", "bob");
  await clock.advance(4000);
  typing.hear("kitchen", "bob");
  typing.hear("kitchen", "charlie");
  assert.deepEqual(typing.in("kitchen"), ["bob", "charlie"]);
  assert.deepEqual(typing.in("lobby"), []);
  await clock.advance(5999);
  assert.deepEqual(typing.in("kitchen"), ["bob", "charlie"]);
  await clock.advance(1);
  assert.deepEqual(typing.in("kitchen"), []);
});

test("whoever has said it types no longer, and may begin anew", async () => {
  typing.hear("kitchen", "bob");
  typing.end("kitchen", "bob");
  assert.deepEqual(typing.in("kitchen"), []);
  await clock.advance(3000);
  typing.hear("kitchen", "bob");
  await clock.advance(3000);
  assert.deepEqual(typing.in("kitchen"), ["bob"]);
});

test("without a connection nobody is heard", () => {
  typing.hear("kitchen", "bob");
  typing.forget();
  assert.deepEqual(typing.in("kitchen"), []);
});
