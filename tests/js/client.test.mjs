import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Client } from "../../chat/static/chat/client.js";
import { onShow, pending, unread } from "../../chat/static/chat/reducer.js";
import { memoryStorage } from "../../chat/static/chat/storage.js";
import { FakeClock, FakeServer, fakeMemory, message, messages, replay, room, settled, welcome } from "./fakes.mjs";

let clock, server, left, failed, strangers, client;

beforeEach(async () => {
  clock = new FakeClock();
  server = new FakeServer();
  left = [];
  failed = [];
  strangers = 0;
  client = new Client({
    me: "alice",
    storage: memoryStorage(),
    memory: fakeMemory().tab(),
    connect: server.connect,
    clock,
    random: () => 1,
    onchange() {},
    onleft: ({ name }) => left.push(name),
    onfailed: ({ code }) => failed.push(code),
    onstranger: () => strangers++,
    onrefused: ({ code }) => failed.push(code),
  });
  client.start();
  await server.welcome({ rooms: [room({ seq: 10, rev: 10, delivered_rev: 10, read_seq: 8 })] });
  client.look("kitchen");
});

const kitchen = () => client.state.rooms.get("kitchen");
const bodies = () => onShow(kitchen()).messages.map(({ body }) => body);

async function cutAndReturn() {
  await server.close(1006);
  await clock.advance(500);
  await server.accept();
}

test("a new page tells no cursors and asks for no more than it wants to show", () => {
  const [resume] = server.received;
  assert.equal(resume.type, "resume");
  assert.equal(resume.cursors, undefined);
  assert.equal(resume.limit, 200);
});

test("a live message is shown and acknowledged", async () => {
  await server.send(message(11));
  await clock.advance(1000);
  assert.deepEqual(bodies(), ["text 11"]);
  assert.deepEqual(server.got("ack").at(-1).cursors, { kitchen: 11 });
});

test("what was missed comes once and in order", async () => {
  await server.send(message(11));
  await cutAndReturn();
  const resume = server.got("resume").at(-1);
  assert.deepEqual(resume.cursors, { kitchen: 11 });
  assert.equal(resume.epoch, "first");
  await server.send(
    welcome({ rooms: [room({ seq: 15, rev: 15, delivered_rev: 11 })] }),
    replay({ messages: messages(12, 13), after: 11, upto: 13, complete: false }),
    replay({ messages: messages(14, 15), after: 13, upto: 15 }),
    message(15),
    message(16),
  );
  assert.deepEqual(bodies(), [11, 12, 13, 14, 15, 16].map((seq) => `text ${seq}`));
  assert.deepEqual(server.got("ack").map(({ cursors }) => cursors.kitchen).slice(0, 2), [13, 15]);
});

test("a jump is never skipped: the room is resumed, once", async () => {
  await server.send(message(12), message(13));
  const resumes = server.got("resume").slice(1);
  assert.deepEqual(resumes.map(({ cursors }) => cursors), [{ kitchen: 10 }]);
  await server.send(replay({ messages: messages(11, 13), after: 10, upto: 13 }));
  await server.answer("resume", { type: "synced" });
  assert.deepEqual(bodies(), ["text 11", "text 12", "text 13"]);
});

test("a resume that the server cannot answer now is asked for again", async () => {
  await server.send(message(12));
  await server.answer("resume", { type: "error", code: "unavailable", retry_after_ms: 400 });
  await clock.advance(400);
  assert.equal(server.got("resume").length, 3);
});

test("a post survives a lost answer and is never shown twice", async () => {
  const { id } = client.post("kitchen", "hello");
  await settled();
  const own = message(11, { id, sender: "alice", body: "hello" });
  await cutAndReturn();
  await server.send(welcome({ rooms: [room({ seq: 11, rev: 11 })] }), replay({ messages: [own], after: 10, upto: 11 }));
  assert.deepEqual(bodies(), ["hello"]);
  assert.deepEqual(pending(client.state, kitchen()), []);
  await settled();
  assert.deepEqual(client.state.outbox, []);
});

test("a post that was not stored goes out again under its id", async () => {
  const { id } = client.post("kitchen", "hello");
  await cutAndReturn();
  await server.send(welcome({ rooms: [room({ seq: 10, rev: 10 })] }));
  assert.deepEqual(server.got("post").map((post) => post.id), [id]);
});

test("a post that another tab got answered leaves the outbox", async () => {
  const { id } = client.post("kitchen", "hello");
  await server.send(message(11, { id, sender: "alice" }));
  assert.deepEqual(client.state.outbox, []);
});

test("a refused post says why", async () => {
  client.post("kitchen", "hello");
  await settled();
  await server.answer("post", { type: "error", code: "muted", detail: "Until noon." });
  assert.deepEqual(failed, ["muted"]);
  assert.equal(pending(client.state, kitchen())[0].state, "failed");
});

test("reading is told once and shows at once", async () => {
  client.read("kitchen", 10);
  client.read("kitchen", 10);
  client.read("kitchen", 9);
  await settled();
  assert.deepEqual(server.got("read").map(({ seq }) => seq), [10]);
  assert.equal(kitchen().read_seq, 10);
});

test("history is asked for once at a time", async () => {
  client.load("kitchen", "before", 11);
  client.load("kitchen", "before", 11);
  await settled();
  assert.equal(server.got("history").length, 1);
  await server.answer("history", { type: "history", room: "kitchen", messages: messages(1, 10), more_before: false, more_after: false });
  assert.equal(bodies().length, 10);
  assert.equal(client.loading, false);
});

test("a history that the server had no time for is worth asking for again", async () => {
  const refused = client.load("kitchen", "around", 5);
  await settled();
  await server.answer("history", { type: "error", code: "unavailable" });
  await clock.advance(2_000);
  assert.equal(await refused, false);
  const answered = client.load("kitchen", "around", 5);
  await settled();
  await server.answer("history", { type: "history", room: "kitchen", messages: messages(1, 10), more_before: false, more_after: false });
  assert.equal(await answered, true);
});

test("a message that comes while a history is outstanding is kept, and an older copy does not undo an edit", async () => {
  client.load("kitchen", "before", 11);
  await server.send(message(11), message(4, { rev: 12, body: "edited" }));
  await server.answer("history", { type: "history", room: "kitchen", messages: messages(1, 10), more_before: false, more_after: true });
  assert.equal(bodies().length, 11);
  assert.equal(bodies()[3], "edited");
});

test("another epoch starts afresh and keeps what was not sent", async () => {
  await server.send(message(11));
  client.post("kitchen", "hello");
  await cutAndReturn();
  await server.send(
    welcome({ epoch: "second", rooms: [room({ seq: 2, rev: 2, delivered_rev: 2 })] }),
    replay({ messages: messages(1, 2), upto: 2, reset: true }),
  );
  assert.deepEqual(bodies(), ["text 1", "text 2"]);
  assert.equal(server.got("post").length, 1);
  await server.send(message(3));
  assert.equal(bodies().length, 3);
});

test("who types is told, at most every three seconds and never of oneself", async () => {
  client.type("kitchen");
  client.type("kitchen");
  await settled();
  assert.deepEqual(server.got("typing").map(({ room }) => room), ["kitchen"]);
  await server.send({ type: "typing", room: "kitchen", user: "bob" }, { type: "typing", room: "kitchen", user: "alice" });
  assert.deepEqual(client.typists("kitchen"), ["bob"]);
});

test("nobody types any more once their message has come, or the connection is gone", async () => {
  await server.send({ type: "typing", room: "kitchen", user: "bob" }, message(11));
  assert.deepEqual(client.typists("kitchen"), []);
  await server.send({ type: "typing", room: "kitchen", user: "bob" });
  await server.close(1006);
  assert.deepEqual(client.typists("kitchen"), []);
});

test("who is there is forgotten when the connection has been gone for a while, and not before", async () => {
  await server.send(room({ seq: 10, rev: 10, receipts: { alice: [0, 0], bob: [0, 0] }, online: ["bob"] }));
  await server.close(1006);
  await clock.advance(4_999);
  assert.equal(client.state.people.get("bob").online, true);
  await clock.advance(1);
  assert.equal(client.state.people.size, 0);
});

test("what is deleted without a connection is told on the next one", async () => {
  await server.send(message(11, { sender: "alice" }));
  await server.close(1006);
  client.delete("kitchen", 11);
  client.leaveBehind();
  await clock.advance(500);
  await server.welcome({ rooms: [room({ seq: 11, rev: 11 })] });
  await clock.advance(0);
  assert.deepEqual(server.got("delete").map(({ seq }) => seq), [11]);
});

test("a deletion that the server refuses is said, and the message is there again", async () => {
  await server.send(message(11, { sender: "alice" }));
  client.delete("kitchen", 11);
  assert.ok(client.veil("kitchen", onShow(kitchen()).messages)[0].deleting);
  client.leaveBehind("kitchen");
  await settled();
  await server.answer("delete", { type: "error", code: "forbidden" });
  assert.deepEqual(failed, ["forbidden"]);
  assert.equal(client.veil("kitchen", onShow(kitchen()).messages)[0].deleting, undefined);
});

test("the pace is the server's, whatever our clock says", async () => {
  const time = new Date(clock.now() + 3_600_000).toISOString();
  await server.close(1006);
  await clock.advance(500);
  await server.welcome({ time, rooms: [room({ seq: 11, rev: 10, delivered_rev: 10, slow_mode: 30, role: "member" })] });
  const now = clock.now();
  await server.send(message(11, { sender: "alice", at: time }));
  assert.equal(client.mayWriteAt("kitchen"), now + 30_000);
  await clock.advance(30_000);
  assert.equal(client.mayWriteAt("kitchen"), 0);
});

test("whoever edits too fast waits instead of failing", async () => {
  const saved = client.edit("kitchen", 5, "better");
  await settled();
  await server.answer("edit", { type: "error", code: "rate_limited", retry_after_ms: 700 });
  await clock.advance(700);
  assert.equal(server.got("edit").length, 2);
  await server.answer("edit", { type: "ok" });
  assert.equal((await saved).type, "ok");
});

test("marking as unread is asked of the server, and holds when it says so", async () => {
  client.markUnread("kitchen", 5);
  await settled();
  assert.deepEqual(server.got("unread").map(({ room, seq }) => [room, seq]), [["kitchen", 5]]);
  await server.send(room({ seq: 10, rev: 10, read_seq: 10, unread_from: 5 }));
  assert.equal(unread(kitchen()), 6);
  await server.send(room({ seq: 10, rev: 10, read_seq: 10 }));
  assert.equal(unread(kitchen()), 0);
});

test("opening a direct room resolves with its id", async () => {
  const opening = client.open("bob");
  await settled();
  await server.answer("open", room({ room: "direct-1", kind: "direct", peer: "bob" }));
  assert.equal(await opening, "direct-1");
  assert.ok(client.state.rooms.has("direct-1"));
});

test("being removed from a room is said, not being in one is not", async () => {
  await server.send({ type: "room", room: "elsewhere", left: true }, { type: "room", room: "kitchen", left: true });
  assert.deepEqual(left, ["Kitchen"]);
  assert.equal(kitchen(), undefined);
});

test("nobody whom one has blocked is seen typing", async () => {
  await server.send(room({ room: "d", kind: "direct", name: "", peer: "bob", blocked: true }));
  await server.send({ type: "typing", room: "kitchen", user: "bob" }, { type: "typing", room: "kitchen", user: "charlie" });
  assert.deepEqual(client.typists("kitchen"), ["charlie"]);
});

test("a new group is a room by the time that its maker goes there", async () => {
  const making = client.create({ name: "Books", kind: "group", members: ["bob"], open: false });
  await settled();
  assert.deepEqual(server.got("create").map(({ name, members }) => [name, members]), [["Books", ["bob"]]]);
  await server.answer("create", room({ room: "books", name: "Books", role: "owner", roles: { alice: "owner" } }));
  assert.equal(await making, "books");
  assert.equal(client.state.rooms.get("books").role, "owner");
});

test("members of a large room come by pages", async () => {
  const page = client.members("kitchen", "bob");
  await settled();
  assert.equal(server.got("members")[0].after, "bob");
  await server.answer("members", { type: "members", room: "kitchen", members: [{ user: "charlie", role: "member", online: true }], more: true });
  assert.deepEqual(await page, { members: [{ user: "charlie", role: "member", online: true }], more: true });
});

test("a report names the message or the person", async () => {
  client.report({ room: "kitchen", seq: 3 }, "Spam.");
  client.report({ user: "bob" }, "Rude.");
  await settled();
  assert.deepEqual(server.got("report").map(({ room, seq, user, reason }) => [room, seq, user, reason]), [["kitchen", 3, undefined, "Spam."], [undefined, undefined, "bob", "Rude."]]);
});

test("whoever logs in here as somebody else gets nothing of this person's, and hears nothing for them", async () => {
  await server.close(4501);
  client.post("kitchen", "for alice's eyes only");
  client.retry();
  await server.accept();
  const bobs = room({ room: "attic", name: "Attic" });
  await server.send(welcome({ user: { username: "bob", name: "Bob" }, rooms: [bobs] }), message(1, { room: "attic" }));
  assert.equal(strangers, 1);
  assert.deepEqual(server.got("post"), []);
  assert.ok(server.socket.closed);
  assert.deepEqual([...client.state.rooms.keys()], ["kitchen"]);
  await clock.advance(60_000);
  assert.equal(client.status.state, "logged_out");
});

test("whoever logs in again sends what was written meanwhile", async () => {
  await server.close(4501);
  client.post("kitchen", "still here");
  client.retry();
  await server.welcome({ user: { username: "alice", name: "Alice" }, rooms: [room()] });
  assert.deepEqual(server.got("post").map(({ body }) => body), ["still here"]);
  assert.equal(strangers, 0);
});

test("the log tells the worker, and how long an answer takes", async () => {
  await cutAndReturn();
  await server.send(welcome({ worker: "w1", rooms: [room()] }));
  client.ping();
  await settled();
  await clock.advance(70);
  await server.answer("ping", { type: "pong" });
  assert.deepEqual([client.log.worker, client.log.returns, client.log.latency], ["w1", 1, 70]);
});
