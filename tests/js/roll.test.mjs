import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Roll } from "../../chat/static/chat/roll.js";
import { settled } from "./fakes.mjs";

const member = (user, online = false) => ({ user, role: "member", online });
let asked, roll;

beforeEach(() => {
  asked = [];
  roll = new Roll({ ask: (room, after) => new Promise((resolve, reject) => asked.push({ room, after, resolve, reject })), onchange() {} });
});

const names = () => roll.members.map(({ user }) => user);

async function answer(members, more) {
  asked.at(-1).resolve({ members, more });
  await settled();
}

test("members come page by page, on each who is online first", async () => {
  roll.turn("hall");
  assert.equal(roll.more, false);
  await answer([member("ann"), member("ben", true)], true);
  assert.deepEqual(names(), ["ben", "ann"]);
  roll.next();
  assert.deepEqual([asked[1].room, asked[1].after], ["hall", "ben"]);
  await answer([member("cleo")], false);
  assert.deepEqual(names(), ["ben", "ann", "cleo"]);
  roll.next();
  assert.equal(asked.length, 2);
});

test("an answer about the room before is not shown in the next one", async () => {
  roll.turn("hall");
  roll.turn("barn");
  asked[0].resolve({ members: [member("ann")], more: false });
  await answer([member("zoe")], false);
  assert.deepEqual(names(), ["zoe"]);
});

test("a page that failed can be asked for again", async () => {
  roll.turn("hall");
  asked[0].reject(new Error("disconnected"));
  await settled();
  assert.equal(roll.more, true);
  roll.next();
  await answer([member("ann")], false);
  assert.deepEqual(names(), ["ann"]);
});

test("whoever looks at the same room goes on where they were", async () => {
  roll.turn("hall");
  await answer([member("ann")], true);
  roll.turn("hall");
  assert.equal(asked.length, 1);
});
