// The messages of the room on show: which of them have rows, what is loaded when, and what has been read.

import { fillMessage, messageRow } from "./message_row.js";
import { blockedPeople } from "./people.js";
import { Place } from "./place.js";
import { edges, pending, readUpTo, run, unread } from "./reducer.js";
import { rights } from "./rights.js";
import { nameOf } from "./rooms.js";
import { clone, show, write } from "./rows.js";
import { dayName, text } from "./text.js";
import { rows } from "./timeline.js";
import { walk } from "./walk.js";

const FAR = 100; // messages: who has gone on by more than this looks at another place

/**
 * `notify(words)` says something to the person, `address(room, seq)` is a message's URL, `redraw()` asks for a `render()` before the next frame,
 * `mayEdit(message)` tells whether its words may be changed.
 * Gives back `begin(room, seq)`, `visit(seq)`, `end()`, `render()`, `toNewest()`, `readAll()` and `unfold(seq)`.
 */
export function messageLog(client, { notify, address, redraw, mayEdit }) {
  const log = document.querySelector(".log");
  const list = log.querySelector(".rows");
  const jump = document.querySelector(".jump");
  const place = new Place(log, list, () => shown() && settle());
  const walking = walk(log, list, place, { toOldest, toNewest });

  let entered = null; // the room's id
  let linked = null; // the seq that the address names
  let at = null; // the seq that the window is looked at from; null: the newest
  let newAfter = null; // where the divider stands
  let marked; // where the room was marked as unread when we last looked
  let kept = false; // so, until one comes back
  let unmarked; // the mark that we have asked the server to take away
  let drawn = null; // the stretch that has rows, and whether it ends with the newest
  const unfolded = new Set(); // the seqs of blocked people's messages that one wants to see
  const asked = new Set(); // where a history was asked for without the window opening there

  jump.addEventListener("click", toNewest);
  return { begin, visit, end, render, toNewest, readAll, unfold };

  function shown() {
    return client.state.rooms.get(entered);
  }

  /** At the linked message, at the first unread one, or at the newest. */
  function begin(id, seq) {
    entered = id;
    const room = shown();
    asked.clear();
    unfolded.clear();
    newAfter = null;
    marked = room.unread_from;
    kept = false;
    unmarked = undefined;
    place.begin();
    if (unread(room) > 0) divide(room);
    linked = seq > room.seq ? null : seq; // beyond the end, there is nothing to be scrolled to
    if (linked !== null) place.toMessage(linked);
    look(linked ?? (newAfter === null ? null : newAfter + 1));
  }

  /** To a message of the room that one is in. */
  function visit(seq) {
    linked = seq;
    place.toMessage(seq);
    look(seq);
  }

  function end() {
    entered = linked = drawn = null;
    list.replaceChildren();
    client.look(null);
  }

  function look(seq) {
    at = seq;
    client.look(entered, seq);
  }

  function render() {
    const room = shown();
    log.setAttribute("aria-label", text("room.log", { name: nameOf(room) }));
    log.setAttribute("aria-busy", String(!client.synced || client.loading));
    if (linked !== null && linked < room.first_seq) linkGone();
    if (room.window === null) windowLost();
    if (room.unread_from !== marked) remark(room);
    if (newAfter === null && unread(room) > 0 && !reading()) divide(room);
    // Whoever has read everything and looks away has left.
    if (newAfter !== null && unread(room) === 0 && document.hidden) newAfter = null;
    draw(shown());
    settle();
  }

  /** What follows from the place one is at, after the rows or the place changed. */
  function settle() {
    const room = shown();
    follow(room);
    if (room.window && place.grow(room.window)) redraw();
    loadMore(room);
    markRead(room);
    const count = unread(room);
    jump.hidden = place.seesEnd || list.childElementCount === 0;
    write(jump, count > 0 ? text("jump.new", { count }) : text("jump"));
  }

  // What is marked as unread while it is on the screen is not read by that: the divider moves, and nothing else.
  function remark({ unread_from }) {
    marked = unread_from;
    unmarked = undefined;
    kept = marked !== undefined;
    newAfter = kept ? marked - 1 : null;
  }

  function unmark({ unread_from }) {
    if (unread_from === undefined || unread_from === unmarked) return;
    unmarked = unread_from;
    client.markUnread(entered).catch(() => (unmarked = undefined));
  }

  function divide(room) {
    newAfter = readUpTo(room);
    if (place.atEnd) place.toDivider();
  }

  /** Whether what arrives at the end is seen at once. */
  function reading() {
    return document.visibilityState === "visible" && client.synced && place.seesEnd;
  }

  function toNewest() {
    place.toEnd();
    look(null);
    return shown()?.seq ?? null;
  }

  function toOldest() {
    const { first_seq } = shown() ?? {};
    if (first_seq === undefined) return null;
    place.toMessage(first_seq);
    look(first_seq);
    return first_seq;
  }

  /** Whoever says that they have seen it all needs no divider. */
  function readAll() {
    const room = shown();
    if (!room) return;
    client.read(entered, room.seq);
    unmark(room);
    newAfter = null;
    toNewest();
  }

  function unfold(seq) {
    unfolded.add(seq);
    redraw();
  }

  /** In a room of many, what those say whom one has blocked is folded away. */
  function folding({ kind }) {
    const blocked = kind === "direct" ? new Set() : blockedPeople(client.state);
    return ({ sender, seq }) => blocked.has(sender) && !unfolded.has(seq);
  }

  function linkGone() {
    linked = null;
    place.giveUp();
    notify(text("link.gone"));
  }

  /** The seq that one is at; null: the newest. */
  function whereabouts() {
    switch (place.held) {
      case "end":
        return null;
      case "divider":
        return newAfter + 1;
      case "row":
        return place.seq ?? at;
      default:
        return at;
    }
  }

  // After a reset the window is gone: whoever was reading further up is led back there.
  function windowLost() {
    const seq = whereabouts();
    if (seq !== at) look(seq);
  }

  /** Lets the client know where one has got to: what is far from there it may let go. */
  function follow({ window, seq, first_seq }) {
    const now = Math.max(whereabouts() ?? seq, first_seq);
    if (window && Math.abs(now - Math.max(at ?? seq, first_seq)) > FAR) look(whereabouts());
  }

  function draw(room) {
    const { window, messages } = room;
    const { moreBefore, moreAfter } = edges(room);
    const waiting = pending(client.state, room);
    // Until that is here to which one goes, there stays what was there.
    if (!window && moreBefore && waiting.length === 0) return place.hold(() => {});
    const stretch = window && place.stretch(room, at ?? window[1]);
    // What was missed belongs between what was here and what waits: until it has come, the one follows the other.
    const reachesEnd = !moreAfter || (drawn?.ends && !client.synced);
    const ends = reachesEnd && (!stretch || stretch[1] === window[1]);
    hush(stretch, ends);
    const all = rows({
      room,
      messages: stretch ? client.veil(entered, run(messages, stretch)) : [],
      waiting: ends ? waiting : [],
      newAfter,
      me: client.state.me,
      isFolded: folding(room),
    });
    const hadFocus = list.contains(document.activeElement);
    place.hold(() => drawRows(all));
    walking.arrive(hadFocus);
  }

  // A catch-up, a page of history or a way back is not news: nobody wants it all read out.
  function hush(stretch, ends) {
    const follows = drawn?.ends && stretch && stretch[0] >= drawn.stretch[0];
    drawn = stretch && { stretch, ends };
    log.setAttribute("aria-live", follows && client.synced && !client.loading ? "polite" : "off");
  }

  function drawRows(all) {
    const options = { me: client.state.me, mayEdit, address: (seq) => address(entered, seq) };
    const create = ({ kind }) => (kind === "message" ? messageRow() : clone(`${kind}-row`));
    show(list, all, create, (element, row) => {
      if (row.kind === "day") write(element, dayName(row.at));
      else if (row.kind === "new") write(element, text("new"));
      else if (row.kind === "gone") write(element, text("room.gone"));
      else if (row.kind === "empty") write(element, text(rights(shown()).write ? "room.empty" : "room.silent"));
      else fillMessage(element, row, { ...options, linked: linked !== null && row.message.seq === linked });
    });
  }

  function loadMore(room) {
    const { window } = room;
    const { moreBefore, moreAfter } = edges(room);
    if (!client.synced) return asked.clear();
    if (!window) return moreBefore ? openWindow(room) : undefined;
    asked.clear();
    const wants = place.wants(window);
    if (moreBefore && wants.before) client.load(entered, "before", window[0]);
    if (moreAfter && wants.after) client.load(entered, "after", window[1]);
  }

  // A place that the server's history does not have must not be asked for again and again: then the newest is shown.
  function openWindow({ seq }) {
    if (client.loading) return;
    if (!asked.has(at)) ask(at, seq);
    else if (at !== null) toNewest();
  }

  async function ask(place, newest) {
    asked.add(place);
    const loading = place === null ? client.load(entered, "before", newest + 1) : client.load(entered, "around", place);
    if (!(await loading)) asked.delete(place);
  }

  function markRead({ window, seq }) {
    if (document.visibilityState !== "visible" || log.clientHeight === 0 || !window) return;
    const last = place.lastInSight();
    if (!last) return;
    client.read(entered, Number(last.dataset.seq));
    if (!kept && Number(last.dataset.seq) === seq) unmark(shown());
  }
}
