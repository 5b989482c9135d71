import assert from "node:assert/strict";
import { test } from "node:test";

import { ConnectionLog } from "../../chat/static/chat/connection_log.js";

test("it counts returns, and keeps how the last connection ended", () => {
  const log = new ConnectionLog();
  log.note({ state: "connecting" }, 0);
  assert.deepEqual([log.since, log.returns, log.lastEnd], [null, 0, null]);
  log.note({ state: "live" }, 100);
  assert.deepEqual([log.since, log.returns], [100, 0]);
  log.note({ state: "waiting", code: 1006, reason: "", until: 700 }, 500);
  log.note({ state: "connecting", code: 1006, reason: "" }, 700);
  log.note({ state: "live" }, 800);
  assert.deepEqual([log.since, log.returns, log.lastEnd], [800, 1, { code: 1006, reason: "", at: 500 }]);
});

test("the latency is the middle one of the last five trips of this connection", () => {
  const log = new ConnectionLog();
  log.note({ state: "live" }, 0);
  assert.equal(log.latency, undefined);
  for (const ms of [900, 10, 30, 20, 500, 40]) log.trip(ms);
  assert.equal(log.latency, 30);
  log.note({ state: "waiting", code: 1006 }, 1);
  assert.equal(log.latency, undefined);
});
