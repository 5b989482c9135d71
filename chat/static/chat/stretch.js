// Which part of a room's window has rows in the page: [from, to], by seq. However much was loaded, it is a few screens around what one reads.

// So few rows at a time that nobody waits for a frame, also on a slow phone: what is still missing comes with the next frames.
const FIRST = 24;
const STEP = 12;

const within = (value, low, high) => Math.max(low, Math.min(value, high));

/** A new one, around a place in the window. */
export function around([first, last], seq) {
  const from = within(seq - FIRST / 2, first, Math.max(first, last - FIRST + 1));
  return [from, Math.min(last, from + FIRST - 1)];
}

/** What is left of it in a window that has changed; nothing if they share nothing. */
export function remaining([from, to], [first, last]) {
  return from <= last && first <= to ? [Math.max(from, first), Math.min(to, last)] : null;
}

/** Further back by a step: what is more than `most` is let go at its end. */
export function earlier([from, to], [first], most) {
  const start = Math.max(first, from - STEP);
  return [start, Math.min(to, start + most - 1)];
}

/** Further on by a step: what is more than `most` is let go at its beginning. */
export function later([from, to], [, last], most) {
  const end = Math.min(last, to + STEP);
  return [Math.max(from, end - most + 1), end];
}

/** On to the end of the window, for whoever is there. After more than a few new messages it begins anew. */
export function newest([from, to], window, most) {
  const [, last] = window;
  return last - to > FIRST ? around(window, last) : [Math.max(from, last - most + 1), last];
}
