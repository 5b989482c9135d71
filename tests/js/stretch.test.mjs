import assert from "node:assert/strict";
import { test } from "node:test";

import { around, earlier, later, newest, remaining } from "../../chat/static/chat/stretch.js";

const MOST = 130;

test("it begins around the place that one looks at, and never beyond the window", () => {
  assert.deepEqual(around([1, 10_000], 5_000), [4_988, 5_011]);
  assert.deepEqual(around([1, 10_000], 10_000), [9_977, 10_000]);
  assert.deepEqual(around([1, 10_000], 1), [1, 24]);
  assert.deepEqual(around([7, 9], 8), [7, 9]);
});

test("whoever goes through ten thousand messages and back never has more than a few screens", () => {
  const window = [1, 10_000];
  let stretch = around(window, 10_000);
  for (const [step, end] of [[earlier, 1], [later, 10_000]]) {
    for (let steps = 0; !stretch.includes(end); steps++) {
      assert.ok(steps < 1_000);
      const next = step(stretch, window, MOST);
      assert.ok(next[1] - next[0] + 1 <= MOST);
      assert.ok(remaining(next, stretch)); // one reads on, without a gap
      stretch = next;
    }
  }
});

test("at the end it follows what arrives, and begins anew after very much", () => {
  assert.deepEqual(newest([1, 30], [1, 33], MOST), [1, 33]);
  assert.deepEqual(newest([1, 130], [1, 133], MOST), [4, 133]);
  assert.deepEqual(newest([1, 30], [1, 1_030], MOST), [1_007, 1_030]);
});

test("of a window that was lost nothing remains", () => {
  assert.deepEqual(remaining([10, 60], [50, 90]), [50, 60]);
  assert.equal(remaining([10, 60], [70, 90]), null);
});
