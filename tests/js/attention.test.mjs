import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { attention } from "../../chat/static/chat/attention.js";
import { settled } from "./fakes.mjs";

/** As navigator.locks, of tabs that `close` ends. */
class FakeLocks {
  #held = [];
  #waiting = [];

  of(tab) {
    return {
      request: (name, ...rest) => {
        const work = rest.pop();
        this.#waiting.push({ tab, name, shared: rest[0]?.mode === "shared", work });
        this.#grant();
      },
      query: async () => ({ held: this.#held.map(({ name }) => ({ name })) }),
    };
  }

  close(tab) {
    this.#held = this.#held.filter((lock) => lock.tab !== tab);
    this.#waiting = this.#waiting.filter((lock) => lock.tab !== tab);
    this.#grant();
  }

  #grant() {
    for (const lock of [...this.#waiting]) {
      const others = this.#held.filter(({ name }) => name === lock.name);
      if (others.some((other) => !other.shared || !lock.shared)) continue;
      this.#waiting = this.#waiting.filter((other) => other !== lock);
      this.#held.push(lock);
      lock.work().then(() => {
        this.#held = this.#held.filter((other) => other !== lock);
        this.#grant();
      });
    }
  }
}

let locks, seen, tabs;

beforeEach(() => {
  locks = new FakeLocks();
  seen = null;
  tabs = Object.fromEntries(["first", "second"].map((tab) => [tab, attention(locks.of(tab), "alice", () => seen === tab)]));
});

async function see(tab) {
  seen = tab;
  for (const each of Object.values(tabs)) each.changed();
  await settled();
}

const speakers = async () => {
  const answers = Object.entries(tabs).map(async ([name, tab]) => ((await tab.maySpeak()) ? [name] : []));
  return (await Promise.all(answers)).flat();
};

test("of several hidden tabs one speaks, and the next when it is closed", async () => {
  assert.deepEqual(await speakers(), ["first"]);
  locks.close("first");
  delete tabs.first;
  assert.deepEqual(await speakers(), ["second"]);
});

test("none speaks while any of them is looked at", async () => {
  for (const tab of ["first", "second"]) {
    await see(tab);
    assert.deepEqual(await speakers(), []);
  }
  await see(null);
  assert.deepEqual(await speakers(), ["first"]);
});

test("a tab that is closed is not looked at any more", async () => {
  await see("second");
  locks.close("second");
  delete tabs.second;
  seen = null;
  assert.deepEqual(await speakers(), ["first"]);
});
