import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { fetched, Over, Poll } from "../../chat/static/chat/admin/poll.js";

const TIMES = { every: 2_000, late: 4_000, patience: 15_000 };

/** Questions, and what the page heard; each question is answered by hand. */
function setUp(t) {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const asked = [];
  const heard = [];
  const ask = (signal) =>
    new Promise((resolve, reject) => {
      asked.push({ resolve, reject });
      signal.addEventListener("abort", () => reject(new Error("gave up")));
    });
  const poll = new Poll(
    ask,
    {
      onAnswer: (answer) => heard.push(answer),
      onSilence: () => heard.push("silence"),
      onOver: () => heard.push("over"),
    },
    TIMES,
  );
  return { poll, asked, heard };
}

async function pass(milliseconds) {
  mock.timers.tick(milliseconds);
  await settle();
}

async function settle() {
  for (let n = 0; n < 5; n++) await Promise.resolve();
}

test("asks at once, and again after every answer", async (t) => {
  const { poll, asked, heard } = setUp(t);
  poll.watch(true);
  assert.equal(asked.length, 1);
  asked[0].resolve("one");
  await settle();
  await pass(1_999);
  assert.equal(asked.length, 1);
  await pass(1);
  assert.equal(asked.length, 2);
  assert.deepEqual(heard, ["one"]);
});

test("never asks twice at the same time", async (t) => {
  const { poll, asked } = setUp(t);
  poll.watch(true);
  poll.watch(false);
  poll.watch(true);
  await pass(3_000);
  assert.equal(asked.length, 1);
});

test("asks nothing while nobody looks, and at once when somebody looks again", async (t) => {
  const { poll, asked } = setUp(t);
  poll.watch(true);
  asked[0].resolve("one");
  await settle();
  poll.watch(false);
  await pass(60_000);
  assert.equal(asked.length, 1);
  poll.watch(true);
  assert.equal(asked.length, 2);
});

test("says that an answer is late, and shows it when it comes", async (t) => {
  const { poll, asked, heard } = setUp(t);
  poll.watch(true);
  await pass(4_000);
  assert.deepEqual(heard, ["silence"]);
  asked[0].resolve("one");
  await settle();
  assert.deepEqual(heard, ["silence", "one"]);
});

test("gives up what hangs, and asks again", async (t) => {
  const { poll, asked, heard } = setUp(t);
  poll.watch(true);
  await pass(15_000);
  assert.deepEqual(heard, ["silence", "silence"]);
  await pass(2_000);
  assert.equal(asked.length, 2);
  asked[1].resolve("back");
  await settle();
  assert.equal(heard.at(-1), "back");
});

test("tries again after a failure", async (t) => {
  const { poll, asked, heard } = setUp(t);
  poll.watch(true);
  asked[0].reject(new TypeError("no network"));
  await settle();
  assert.deepEqual(heard, ["silence"]);
  await pass(2_000);
  assert.equal(asked.length, 2);
});

test("asks no more when it is over", async (t) => {
  const { poll, asked, heard } = setUp(t);
  poll.watch(true);
  asked[0].reject(new Over());
  await settle();
  await pass(60_000);
  assert.deepEqual(heard, ["over"]);
  assert.equal(asked.length, 1);
});

test("whoever is sent to the log-in, or may not look, need not ask again", async (t) => {
  for (const response of [{ type: "opaqueredirect" }, { status: 403 }]) {
    t.mock.method(globalThis, "fetch", async () => response);
    await assert.rejects(fetched("/live/"), Over);
  }
  t.mock.method(globalThis, "fetch", async () => ({ ok: false, status: 503 }));
  await assert.rejects(fetched("/live/"), (error) => !(error instanceof Over));
});
