// The keys in the list of messages, which is one tab stop: arrows go from message to message, Tab goes on to what can be done with one.

/** `toOldest()` and `toNewest()` lead there and answer the seq that will be there. Gives back `arrive()`, for when the rows have changed. */
export function walk(log, list, place, { toOldest, toNewest }) {
  let awaited = null; // the seq of a row that has yet to come

  const focused = () => list.contains(document.activeElement) && document.activeElement.closest(".message");
  const rowOf = (seq) => list.querySelector(`[data-seq="${seq}"]`);

  log.addEventListener("keydown", (event) => {
    const step = { ArrowUp: up, ArrowDown: down, PageUp: pageUp, PageDown: pageDown, Home: () => lead(toOldest()), End: () => lead(toNewest()) }[event.key];
    const other = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (!step || other || event.target.closest("button, a, input, textarea")) return;
    const row = step(focused());
    if (row === undefined) return;
    event.preventDefault();
    row?.focus();
  });
  list.addEventListener("focusin", reach);
  return { arrive };

  function up(row) {
    return row ? beside(row, "previousElementSibling") : place.lastInSight();
  }

  function down(row) {
    return row ? beside(row, "nextElementSibling") : place.firstInSight();
  }

  // Without a row, these keys scroll.
  function pageUp(row) {
    return row ? (awayFrom(row, -1) ?? null) : undefined;
  }

  function pageDown(row) {
    return row ? (awayFrom(row, 1) ?? null) : undefined;
  }

  function beside(row, direction) {
    do row = row[direction]; while (row && !row.matches(".message"));
    return row;
  }

  /** The row that is about as far away as the list is high, or the last one before its end. */
  function awayFrom(row, direction) {
    const wanted = row.getBoundingClientRect().top + direction * log.clientHeight * 0.9;
    const further = (other) => direction * (other.getBoundingClientRect().top - wanted) >= 0;
    let at = row;
    for (let next = row; next && !further(at); next = beside(at, direction < 0 ? "previousElementSibling" : "nextElementSibling")) at = next;
    return at;
  }

  function lead(seq) {
    awaited = seq;
    arrive();
    return null;
  }

  /** Focuses what one was on the way to, unless one has gone elsewhere; and keeps those in the list whose row was let go. */
  function arrive(hadFocus = false) {
    if (hadFocus && !log.contains(document.activeElement)) log.focus({ preventScroll: true });
    if (awaited === null) return;
    const row = rowOf(awaited);
    if (row && log.contains(document.activeElement)) row.focus({ preventScroll: true });
    if (row || !log.contains(document.activeElement)) awaited = null;
  }

  /** Of all the links in the list Tab reaches those of the message that one has walked to. */
  function reach(event) {
    const row = event.target.closest(".message");
    for (const link of list.querySelectorAll(':is(a, button)[tabindex="0"]')) link.tabIndex = -1;
    for (const link of row?.querySelectorAll("a, .unfold, :scope.opens .sender") ?? []) link.tabIndex = 0;
  }
}
