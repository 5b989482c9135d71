import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Search } from "../../chat/static/chat/search.js";
import { FakeClock, settled } from "./fakes.mjs";

let clock, asked, answers, errors, search;

beforeEach(() => {
  clock = new FakeClock();
  asked = [];
  answers = [];
  errors = [];
  search = new Search({
    clock,
    ask: (query) => new Promise((resolve, reject) => asked.push({ query, resolve, reject })),
    onanswer: (answer, query) => answers.push([query, answer]),
    onerror: (error) => errors.push(error),
  });
});

const typed = async (...queries) => {
  for (const query of queries) {
    search.for(query);
    await clock.advance(50);
  }
  await clock.advance(200);
};

test("the server is asked once somebody pauses", async () => {
  await typed("b", "bo", "bob");
  assert.deepEqual(asked.map(({ query }) => query), ["bob"]);
  asked[0].resolve("Bob");
  await settled();
  assert.deepEqual(answers, [["bob", "Bob"]]);
});

test("an answer that comes late does not take the place of the latest", async () => {
  await typed("a");
  await typed("ab");
  asked[1].resolve("second");
  await settled();
  asked[0].resolve("first");
  await settled();
  assert.deepEqual(answers, [["ab", "second"]]);
});

test("an answer to what was typed before is not wanted any more", async () => {
  await typed("a");
  search.for("ab");
  asked[0].resolve("first");
  await settled();
  assert.deepEqual(answers, []);
});

test("a refusal of the latest words is told, one of others is not", async () => {
  await typed("a");
  await typed("ab");
  asked[0].reject("first");
  asked[1].reject("second");
  await settled();
  assert.deepEqual(errors, ["second"]);
});

test("who closes the list wants nothing any more", async () => {
  await typed("a");
  search.for("ab");
  search.forget();
  asked[0].resolve("first");
  await clock.advance(1000);
  assert.deepEqual(answers, []);
  assert.equal(asked.length, 1);
});
