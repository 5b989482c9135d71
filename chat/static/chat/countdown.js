// Words with a time that runs down. For the eye: whoever puts them on the page keeps them out of what is read out each second.

import { write } from "./rows.js";

const running = new Map(); // by element: {until, words}
let ticking = null;

/** Shows `words(ms left)` in an element until then, and hides it afterwards; for no time at once. */
export function countDown(element, until, words) {
  if (!until) {
    running.delete(element);
    element.hidden = true;
    return;
  }
  running.set(element, { until, words });
  tick(element);
  ticking ??= setInterval(tickAll, 1000);
}

function tickAll() {
  for (const element of running.keys()) {
    if (element.isConnected) tick(element);
    else running.delete(element);
  }
  if (running.size > 0) return;
  clearInterval(ticking);
  ticking = null;
}

function tick(element) {
  const { until, words } = running.get(element);
  const left = until - Date.now();
  element.hidden = left <= 0;
  if (left > 0) write(element, words(left));
  else running.delete(element);
}
