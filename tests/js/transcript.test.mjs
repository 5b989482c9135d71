import assert from "node:assert/strict";
import { test } from "node:test";

import { compose, examples, ready, roomsIn } from "../../chat/static/chat/dialects.js";
import { closing, MOST, pretty, Transcript } from "../../chat/static/chat/transcript.js";

const noon = () => new Date(2026, 10, 20, 12, 0, 7, 5);

test("a transcript keeps what is newest", () => {
  const transcript = new Transcript(noon);
  for (let n = 1; n <= MOST + 1; n++) transcript.add("message", String(n));
  assert.equal(transcript.entries.length, MOST);
  assert.deepEqual(transcript.entries[0], { key: "2", time: "12:00:07.005", kind: "message", data: "2" });
  transcript.clear();
  assert.equal(String(transcript), "");
});

test("a transcript is text, a line for each thing that happened", () => {
  const transcript = new Transcript(noon);
  transcript.add("error");
  transcript.add("close", closing({ code: 4501, reason: "not logged in", wasClean: true }));
  assert.equal(String(transcript), '12:00:07.005 error\n12:00:07.005 close code 4501 · reason "not logged in" · wasClean true');
});

test("frames are spread to be read, and lines stay as they are", () => {
  assert.equal(pretty('{"type":"pong"}\n{"a":[1]}'), '{\n  "type": "pong"\n}\n{\n  "a": [\n    1\n  ]\n}');
  assert.equal(pretty("!empty|The text is empty."), "!empty|The text is empty.");
});

test("the same is said in both dialects", () => {
  const said = { to: "bob", isRoom: false, body: "Tea?", ref: "1", id: "5" };
  assert.deepEqual(JSON.parse(compose("chat.v1.json", said)), { type: "post", ref: "1", id: "5", to: "bob", body: "Tea?" });
  assert.equal(JSON.parse(compose("chat.v1.json", { ...said, isRoom: true })).room, "bob");
  assert.equal(compose("chat", said), "bob|Tea?");
  assert.equal(compose("chat", { ...said, to: "" }), "Tea?");
});

test("an example is ready to be sent", () => {
  const post = examples.find(({ type }) => type === "post");
  assert.deepEqual(JSON.parse(ready(post, { ref: "1", id: "5" })), { ...post, ref: "1", id: "5" });
  const ack = examples.find(({ type }) => type === "ack");
  assert.deepEqual(JSON.parse(ready(ack, { ref: "2", id: "5", room: "abc" })).cursors, { abc: 1 });
});

test("rooms are known by what the server tells", () => {
  assert.deepEqual(roomsIn('{"type":"welcome"}\n{"type":"room","room":"a","name":"Kitchen"}\n{"type":"room","room":"b","name":"","peer":"bob"}'), [["a", "Kitchen"], ["b", "bob"]]);
  assert.deepEqual(roomsIn("2026|alice|Kitchen|Tea?"), []);
});
