import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { DEFAULTS, Preferences } from "../../chat/static/chat/preferences.js";

let kept, asked, answer, changes, preferences;

const open = (saved, remembered) => {
  preferences = new Preferences({
    saved,
    remembered,
    memory: { get: (key) => kept.get(key) ?? "", set: (key, words) => kept.set(key, words) },
    tell: (changes) => {
      asked.push(changes);
      return answer(changes);
    },
    onchange: (all, before) => changes.push([before, all]),
  });
};
const takes = async (chosen) => ({ type: "preferences", preferences: { ...DEFAULTS, ...chosen } });
const refuses = (code) => async () => Promise.reject({ code });

beforeEach(() => {
  kept = new Map();
  asked = [];
  changes = [];
  answer = takes;
  open({ language: "en" });
});

test("what the server does not tell is at its default", () => {
  assert.deepEqual(preferences.all, { ...DEFAULTS, language: "en" });
});

test("a choice is in force at once, and is told to the server", async () => {
  const saving = preferences.choose({ theme: "dark" });
  assert.equal(preferences.get("theme"), "dark");
  assert.ok(preferences.isPending);
  assert.equal(await saving, true);
  assert.deepEqual(asked, [{ theme: "dark" }]);
  assert.ok(!preferences.isPending);
});

test("without a connection a choice stays in force, also over a reload, and is saved later", async () => {
  answer = refuses("disconnected");
  assert.equal(await preferences.choose({ enter_sends: false }), false);
  open({});
  assert.equal(preferences.get("enter_sends"), false);
  answer = takes;
  assert.equal(await preferences.save(), true);
  assert.deepEqual(asked.at(-1), { enter_sends: false });
  open({});
  assert.equal(preferences.get("enter_sends"), true);
});

test("what the browser remembers counts until the first choice, and goes along with it", async () => {
  open({}, { language: "zh-hans", theme: "dark" });
  preferences.hear(await takes({}));
  assert.equal(preferences.saved("language"), "zh-hans");
  await preferences.choose({ enter_sends: false, theme: "" });
  assert.deepEqual(asked, [{ language: "zh-hans", theme: "", enter_sends: false }]);
  await preferences.choose({ enter_sends: true });
  assert.deepEqual(asked.at(-1), { enter_sends: true });
});

test("what was chosen on another device comes before what this browser remembers", async () => {
  open({}, { language: "zh-hans" });
  preferences.hear(await takes({ theme: "dark" }));
  assert.equal(preferences.get("language"), "");
  await preferences.choose({ enter_sends: false });
  assert.deepEqual(asked, [{ enter_sends: false }]);
});

test("what the server refuses is as it was before", async () => {
  answer = refuses("bad_frame");
  await assert.rejects(preferences.choose({ theme: "pink" }));
  assert.equal(preferences.get("theme"), "");
  assert.ok(!preferences.isPending);
});

test("what another device chose is in force here, but for what was chosen here meanwhile", async () => {
  answer = refuses("disconnected");
  await preferences.choose({ theme: "dark" });
  preferences.hear({ preferences: { ...DEFAULTS, theme: "light", hide_typing: true } });
  assert.deepEqual(preferences.all, { ...DEFAULTS, theme: "dark", hide_typing: true });
});

test("an answer settles only what it answers", async () => {
  let arrive;
  answer = () => new Promise((resolve) => (arrive = resolve));
  const first = preferences.choose({ theme: "dark" });
  const arriveFirst = arrive;
  preferences.choose({ theme: "light" });
  arriveFirst({ preferences: { ...DEFAULTS, theme: "dark" } });
  await first;
  assert.equal(preferences.get("theme"), "light");
  assert.ok(preferences.isPending);
});

test("who looks on hears of changes alone", async () => {
  await preferences.choose({ theme: "dark" });
  preferences.hear({ preferences: { ...DEFAULTS, theme: "dark" } });
  assert.deepEqual(
    changes.map(([before, all]) => [before.theme, all.theme, all.language]),
    [
      ["", "dark", "en"],
      ["dark", "dark", ""],
    ],
  );
});

test("a memory that holds nonsense is forgotten", () => {
  for (const nonsense of ["{", "[]", "null", '{"theme": 7, "pink": true}']) {
    kept.set("preferences", nonsense);
    open({});
    assert.deepEqual(preferences.all, DEFAULTS);
  }
});
