import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Outbox, clientId } from "../../chat/static/chat/outbox.js";
import { memoryStorage } from "../../chat/static/chat/storage.js";
import { FakeClock, settled } from "./fakes.mjs";

let clock, storage, posts, items, failed, outbox;

const open = () =>
  new Outbox({
    storage,
    clock,
    newId: () => `id-${posts.made++}`,
    post: (item) => new Promise((resolve, reject) => posts.push({ id: item.id, body: item.body, resolve, reject })),
    onchange: (now) => (items = now),
    onfailed: (item) => failed.push(item.code),
  });

beforeEach(async () => {
  clock = new FakeClock();
  storage = memoryStorage();
  posts = Object.assign([], { made: 1 });
  items = [];
  failed = [];
  outbox = open();
  await outbox.resume();
});

const sent = () => posts.map(({ body }) => body);

function refuse(error) {
  posts.at(-1).reject(error);
  return settled();
}

function accept() {
  posts.at(-1).resolve({});
  return settled();
}

test("a text goes out at once and leaves when it is committed", async () => {
  outbox.add("kitchen", "hello");
  assert.equal(items[0].state, "sending");
  assert.deepEqual(sent(), ["hello"]);
  await accept();
  assert.deepEqual(items, []);
  assert.deepEqual(await storage.all(), []);
});

test("the next text of a room waits for the first, other rooms do not", async () => {
  outbox.add("kitchen", "one");
  outbox.add("kitchen", "two");
  outbox.add("lobby", "elsewhere");
  assert.deepEqual(sent(), ["one", "elsewhere"]);
  posts[0].resolve({});
  await settled();
  assert.deepEqual(sent(), ["one", "elsewhere", "two"]);
});

test("a full or busy server is tried again with the same id, and nothing overtakes", async () => {
  outbox.add("kitchen", "one");
  outbox.add("kitchen", "two");
  await refuse({ code: "rate_limited", retryAfter: 700 });
  await clock.advance(699);
  assert.deepEqual(sent(), ["one"]);
  await clock.advance(1);
  await refuse({ code: "unavailable" });
  await clock.advance(2000);
  assert.deepEqual(posts.map(({ id }) => id), ["id-1", "id-1", "id-1"]);
  assert.ok(items.every(({ state }) => state === "sending"));
});

test("whoever has to wait sees until when, and for how long only as long as it holds", async () => {
  outbox.add("kitchen", "one");
  outbox.add("kitchen", "two");
  await refuse({ code: "rate_limited", retryAfter: 12_000 });
  assert.deepEqual(items.map(({ state, until }) => [state, until]), [["sending", clock.now() + 12_000], ["sending", undefined]]);
  await clock.advance(12_000);
  assert.equal(items[0].until, undefined);
  await refuse({ code: "rate_limited", retryAfter: 12_000 });
  outbox.pause();
  assert.equal(items[0].until, undefined);
  outbox = open();
  await outbox.resume();
  assert.deepEqual(sent(), ["one", "one", "one"]);
});

test("a refused text fails, the next one goes on", async () => {
  outbox.add("kitchen", "far too long");
  outbox.add("kitchen", "short");
  await refuse({ code: "too_long", message: "At most 4000." });
  assert.deepEqual(items.map(({ state, code, detail }) => [state, code, detail]), [
    ["failed", "too_long", "At most 4000."],
    ["sending", undefined, undefined],
  ]);
  assert.deepEqual(failed, ["too_long"]);
  assert.deepEqual(sent(), ["far too long", "short"]);
});

test("a failed text can be tried again under its id, or given up", async () => {
  outbox.add("kitchen", "let me in");
  await refuse({ code: "muted" });
  outbox.retry("id-1");
  assert.deepEqual(posts.map(({ id }) => id), ["id-1", "id-1"]);
  await refuse({ code: "muted" });
  outbox.remove("id-1");
  assert.deepEqual(items, []);
  assert.deepEqual(await storage.all(), []);
});

test("what was not answered goes out again on the next connection, in order and under the same ids", async () => {
  outbox.add("kitchen", "one");
  outbox.add("kitchen", "two");
  outbox.pause();
  await refuse({ code: "disconnected" });
  outbox.add("kitchen", "three");
  assert.deepEqual(sent(), ["one"]);
  await outbox.resume();
  for (let i = 0; i < 3; i++) await accept();
  assert.deepEqual(posts.map(({ id, body }) => [id, body]), [["id-1", "one"], ["id-1", "one"], ["id-2", "two"], ["id-3", "three"]]);
  assert.deepEqual(items, []);
});

test("an answer that never comes is asked for again", async () => {
  outbox.add("kitchen", "hello");
  await clock.advance(15_000);
  assert.deepEqual(posts.map(({ id }) => id), ["id-1", "id-1"]);
  posts[0].resolve({});
  await settled();
  assert.deepEqual(items, []);
});

test("a late answer to an earlier attempt does not disturb the one in flight", async () => {
  outbox.add("kitchen", "hello");
  await clock.advance(15_000);
  posts[0].reject({ code: "internal" });
  await settled();
  assert.equal(items[0].state, "sending");
});

test("a text survives closing the tab", async () => {
  outbox.pause();
  outbox.add("kitchen", "one");
  outbox.add("kitchen", "two");
  outbox = open();
  await outbox.resume();
  await accept();
  await accept();
  assert.deepEqual(sent(), ["one", "two"]);
  assert.deepEqual(await storage.all(), []);
});

test("a failed text is still failed after a reload, and is not sent by itself", async () => {
  outbox.add("kitchen", "let me in");
  await refuse({ code: "muted" });
  outbox = open();
  await outbox.resume();
  assert.equal(items[0].state, "failed");
  assert.equal(posts.length, 1);
});

test("what one tab got answered leaves the other tab too", async () => {
  const tabs = [];
  const shared = { ...storage, onremoved: (callback) => tabs.push(callback) };
  storage = { ...shared, delete: async (id) => (await shared.delete(id), tabs.forEach((removed) => removed(id))) };
  outbox = open();
  outbox.add("kitchen", "hello");
  const other = open();
  await other.load();
  assert.equal(items.length, 1);
  outbox.remove("id-1");
  await settled();
  await other.resume();
  assert.deepEqual(items, []);
  assert.deepEqual(sent(), []);
});

test("what is read from the storage twice at once is there once", async () => {
  outbox.add("kitchen", "hello");
  const next = open();
  await Promise.all([next.load(), next.load()]);
  assert.equal(items.length, 1);
});

test("a client id is a UUID, with a secure context and without", () => {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const insecure = { getRandomValues: (bytes) => globalThis.crypto.getRandomValues(bytes) };
  assert.match(clientId(), uuid);
  assert.match(clientId(insecure), uuid);
  assert.notEqual(clientId(insecure), clientId(insecure));
});
