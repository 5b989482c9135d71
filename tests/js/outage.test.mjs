import assert from "node:assert/strict";
import { test } from "node:test";

import { outage } from "../../chat/static/chat/outage.js";

const NOW = 1_000_000;
const HOUR = 3_600_000;
const told = (status, now = NOW) => outage(status, NOW - 5_000, now);
const keyAndAct = (status, now) => {
  const { key, act } = told(status, now);
  return [key.replace("connection.", ""), act];
};

test("for five seconds nobody needs to know", () => {
  for (const state of ["connecting", "waiting", "offline"]) {
    assert.equal(outage({ state, until: NOW }, NOW - 4_999, NOW), null);
    assert.notEqual(outage({ state, until: NOW }, NOW - 5_000, NOW), null);
  }
  assert.equal(outage({ state: "live" }, 0, NOW), null);
});

test("what does not end by itself is told at once", () => {
  for (const status of [{ state: "logged_out", code: 4501 }, { state: "stopped", code: 4503 }]) assert.ok(outage(status, NOW, NOW));
});

test("each way to be away has its words and its way out", () => {
  assert.deepEqual(keyAndAct({ state: "connecting" }), ["connecting", null]);
  assert.deepEqual(keyAndAct({ state: "connecting", code: 4012 }), ["coming_back", null]);
  assert.deepEqual(keyAndAct({ state: "offline", code: 1006 }), ["offline", "retry"]);
  assert.deepEqual(keyAndAct({ state: "waiting", code: 1006 }), ["waiting", "retry"]);
  assert.deepEqual(keyAndAct({ state: "waiting", code: 4009 }), ["waiting", "retry"]);
  assert.deepEqual(keyAndAct({ state: "waiting", code: 4000 }), ["failing", "retry"]);
  assert.deepEqual(keyAndAct({ state: "waiting", code: 4002 }), ["slow", "retry"]);
  assert.deepEqual(keyAndAct({ state: "waiting", code: 4008 }), ["hasty", "retry"]);
  assert.deepEqual(keyAndAct({ state: "waiting", code: 4010 }), ["disconnected", "retry"]);
  assert.deepEqual(keyAndAct({ state: "waiting", code: 4012 }), ["restarting", "retry"]);
  assert.deepEqual(keyAndAct({ state: "logged_out", code: 4501 }), ["logged_out", "log_in"]);
  assert.deepEqual(keyAndAct({ state: "stopped", code: 4510 }), ["crowded", "retry"]);
  assert.deepEqual(keyAndAct({ state: "stopped", code: 4500 }), ["stopped", "reload"]);
});

test("a kick can be undone at once, a ban only when it is over", () => {
  assert.deepEqual(keyAndAct({ state: "stopped", code: 4503 }), ["kicked", "return"]);
  const banned = { state: "stopped", code: 4503, until: NOW + HOUR };
  assert.deepEqual(keyAndAct(banned), ["banned", null]);
  assert.equal(told(banned).until, NOW + HOUR);
  assert.deepEqual(keyAndAct(banned, NOW + HOUR), ["ban_over", "return"]);
  assert.deepEqual(keyAndAct({ ...banned, until: NOW + 100 * 365 * 24 * HOUR }), ["banned_for_good", null]);
});

test("seconds are counted down to one", () => {
  const count = (until) => told({ state: "waiting", until }).count;
  assert.deepEqual([NOW + 2_001, NOW + 2_000, NOW + 1, NOW - 9].map(count), [3, 2, 1, 1]);
});
