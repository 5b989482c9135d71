import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Connection, isBanned } from "../../chat/static/chat/connection.js";
import { FakeClock, FakeServer, settled, welcome } from "./fakes.mjs";

let clock, server, frames, statuses, online, random, connection;

beforeEach(() => {
  clock = new FakeClock();
  server = new FakeServer();
  frames = [];
  statuses = [];
  online = true;
  random = 1;
  connection = new Connection({
    connect: server.connect,
    clock,
    random: () => random,
    online: () => online,
    onopen: () => connection.send({ type: "resume" }),
    onframe: (frame, request) => frames.push([frame, request]),
    onstatus: ({ state }) => statuses.push(state),
  });
  connection.open();
});

async function live() {
  await server.accept();
  await server.send(welcome());
}

async function pauseAfter(code) {
  await server.close(code);
  return connection.status.until - clock.now();
}

test("it asks for the JSON dialect, speaks first and is live when welcomed", async () => {
  assert.equal(server.socket.protocol, "chat.v1.json");
  await server.accept();
  assert.deepEqual(server.received, [{ type: "resume" }]);
  await server.send(welcome());
  assert.deepEqual(statuses, ["connecting", "live"]);
});

test("one WebSocket message may carry many frames", async () => {
  await server.accept();
  await server.send(welcome(), { type: "heartbeat" }, { type: "pong" });
  assert.deepEqual(frames.map(([{ type }]) => type), ["welcome", "heartbeat", "pong"]);
});

test("frames sent in one turn travel as one batch", async () => {
  await live();
  connection.send({ type: "ack" });
  connection.send({ type: "read" });
  await settled();
  assert.equal(server.socket.batches.at(-1), '{"type":"ack"}\n{"type":"read"}');
});

test("a batch never exceeds what the server takes, in bytes", async () => {
  await server.accept();
  await server.send(welcome({ limits: { message_bytes: 100 } }));
  for (let i = 0; i < 3; i++) connection.send({ type: "post", body: "水".repeat(12) });
  await settled();
  const [, ...batches] = server.socket.batches;
  assert.deepEqual(batches.map((batch) => batch.split("\n").length), [1, 1, 1]);
});

test("an answer finds its request", async () => {
  await live();
  const first = connection.request({ type: "open", to: "bob" });
  const second = connection.request({ type: "open", to: "charlie" });
  await settled();
  const [one, two] = server.got("open");
  await server.send({ type: "room", room: "c", ref: two.ref }, { type: "room", room: "b", ref: one.ref });
  assert.equal((await first).room, "b");
  assert.equal((await second).room, "c");
  assert.equal(frames.at(-1)[1].to, "bob");
});

test("an error answers its request with code and pause", async () => {
  await live();
  const request = connection.request({ type: "post" });
  await settled();
  await Promise.all([
    assert.rejects(request, { code: "rate_limited", message: "Slow down.", retryAfter: 300 }),
    server.answer("post", { type: "error", code: "rate_limited", detail: "Slow down.", retry_after_ms: 300 }),
  ]);
});

test("a lost connection answers every open request", async () => {
  await live();
  const request = connection.request({ type: "post" });
  await Promise.all([assert.rejects(request, { code: "disconnected" }), server.close(1006)]);
  await assert.rejects(connection.request({ type: "post" }), { code: "disconnected" });
});

test("pauses grow from half a second to twenty, each anywhere below its ceiling", async () => {
  const pauses = [];
  for (let i = 0; i < 8; i++) {
    pauses.push(await pauseAfter(1006));
    await clock.advance(pauses.at(-1));
  }
  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);
  random = 0.25;
  assert.equal(await pauseAfter(1006), 5000);
});

test("a connection that lasted starts the pauses afresh, one that died at once does not", async () => {
  await live();
  assert.equal(await pauseAfter(1006), 500);
  await clock.advance(500);
  await live();
  assert.equal(await pauseAfter(1006), 1000);
  await clock.advance(1000);
  await live();
  await clock.advance(6000);
  assert.equal(await pauseAfter(1006), 500);
});

test("the server says when to come back", async () => {
  await live();
  await server.send({ type: "bye", code: 4012, reason: "restart", reconnect: true, retry_after_ms: 3210 });
  assert.equal(await pauseAfter(1006), 3210);
  assert.equal(connection.status.code, 4012);
  await clock.advance(3210);
  assert.equal(connection.status.state, "connecting");
});

test("it comes back after every code below 4500 and after none from there on", async () => {
  for (const code of [1000, 1006, 4000, 4002, 4008, 4009, 4012, 4499]) {
    await server.close(code);
    assert.equal(connection.status.state, "waiting", String(code));
    connection.retry();
  }
  for (const code of [4500, 4503, 4509, 4510, 4999]) {
    await server.close(code);
    assert.equal(connection.status.state, "stopped", String(code));
    connection.wake();
    await clock.advance(60_000);
    assert.equal(connection.status.state, "stopped", String(code));
    connection.retry();
    assert.equal(connection.status.state, "connecting", String(code));
  }
});

test("4501 means logged out", async () => {
  await server.accept();
  await server.send({ type: "bye", code: 4501, reason: "not logged in", reconnect: false });
  await server.close(4501);
  assert.equal(connection.status.state, "logged_out");
});

test("who was logged out is asked for again when the page is seen: they may have logged in elsewhere", async () => {
  await server.accept();
  await server.close(4501);
  await clock.advance(60_000);
  assert.equal(server.sockets.length, 1);
  connection.wake();
  assert.equal(connection.status.state, "connecting");
});

test("without a network it says so and still tries", async () => {
  online = false;
  await server.close(1006);
  assert.equal(connection.status.state, "offline");
  await clock.advance(500);
  assert.equal(server.sockets.length, 2);
});

test("it comes back at once when the network does or a person asks", async () => {
  await server.close(1006);
  connection.wake();
  assert.equal(connection.status.state, "connecting");
  await server.close(1006);
  connection.retry();
  assert.equal(server.sockets.length, 3);
});

test("who is banned can do nothing, who is crowded out can", async () => {
  const banned = () => isBanned(connection.status, clock.now());
  await live();
  await server.close(4510);
  assert.ok(!banned());
  connection.retry();
  await live();
  await server.send({ type: "bye", code: 4503, reason: "kicked or banned", reconnect: false, retry_after_ms: 60_000 });
  await server.close(4503);
  assert.ok(banned());
  await clock.advance(60_000);
  assert.ok(!banned());
});

test("who was only kicked may come back at once", async () => {
  await live();
  await server.close(4503);
  assert.ok(!isBanned(connection.status, clock.now()));
});

test("two silent heartbeats end the connection, any frame keeps it", async () => {
  await live();
  await clock.advance(29_000);
  await server.send({ type: "heartbeat" });
  await clock.advance(29_000);
  assert.equal(connection.status.state, "live");
  await clock.advance(1_000);
  assert.equal(connection.status.state, "waiting");
  assert.ok(server.socket.closed);
});

test("a server that never welcomes is left", async () => {
  await server.accept();
  await clock.advance(10_000);
  assert.equal(connection.status.state, "waiting");
});

test("after waking up, a silent connection is found dead within seconds", async () => {
  await live();
  connection.wake();
  await settled();
  assert.equal(server.got("ping").length, 1);
  await clock.advance(5_000);
  assert.equal(connection.status.state, "waiting");
});

test("after waking up, an answer keeps the connection", async () => {
  await live();
  connection.wake();
  await server.send({ type: "pong" });
  await clock.advance(20_000);
  assert.equal(connection.status.state, "live");
});

test("nothing from a connection that was left is heard any more", async () => {
  await live();
  const [left] = server.sockets;
  await server.close(1006);
  assert.deepEqual([left.onopen, left.onmessage, left.onclose], [null, null, null]);
});
