// Which part of a room's window has rows in the page: [from, to], by seq. However much was loaded, it is a few screens around what one reads.

export const MOST = 200;
const STEP = 25; // so few rows at a time that nobody waits for a frame, also on a slow phone

const within = (value, low, high) => Math.max(low, Math.min(value, high));

/** A new one, around a place in the window. */
export function around([first, last], seq) {
  const from = within(seq - STEP, first, Math.max(first, last - 2 * STEP));
  return [from, Math.min(last, from + 2 * STEP)];
}

/** What is left of it in a window that has changed; nothing if they share nothing. */
export function remaining([from, to], [first, last]) {
  return from <= last && first <= to ? [Math.max(from, first), Math.min(to, last)] : null;
}

/** Further back by a step: as much is let go at its end as there is too much. */
export function earlier([from, to], [first]) {
  const start = Math.max(first, from - STEP);
  return [start, Math.min(to, start + MOST - 1)];
}

/** Further on by a step: the same, with what is let go at its beginning. */
export function later([from, to], [, last]) {
  const end = Math.min(last, to + STEP);
  return [Math.max(from, end - MOST + 1), end];
}

/** On to the end of the window, for whoever is there. After more than a few new messages it begins anew. */
export function newest([from, to], window) {
  const [, last] = window;
  return last - to > STEP ? around(window, last) : later([from, to], window);
}
