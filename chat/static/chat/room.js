// The room on show: its messages, where one is in them, and what has been read.

import { composer } from "./composer.js";
import { isBanned } from "./connection.js";
import { fillMessage, messageRow } from "./message_row.js";
import { onlineIn } from "./people.js";
import { onShow, pending, unread } from "./reducer.js";
import { nameOf } from "./rooms.js";
import { clone, paintDot, show, write } from "./rows.js";
import { dayName, presenceWords, reason, text, typingWords } from "./text.js";
import { rows } from "./timeline.js";

const AT_BOTTOM = 100;
const LOAD_AHEAD = 800;
const ABOVE_DIVIDER = 72;

/**
 * `notify(words)` says something to the person, `address(room, seq)` is a message's URL, `visit(room, seq)` goes there.
 * Gives back `enter(room, seq)`, `readAll()` and `render()`.
 */
export function roomView(client, drafts, { notify, address, visit }) {
  const head = document.querySelector(".room-head");
  const nothing = document.querySelector(".nothing");
  const log = document.querySelector(".log");
  const list = log.querySelector(".rows");
  const form = document.querySelector(".composer");
  const jump = form.querySelector(".jump");
  const typists = form.querySelector(".typing");
  const confirmation = document.querySelector(".delete-dialog");

  let wanted = null; // the room id that the address names
  let linked = null; // the seq that the address names
  let entered = null; // the room id on show: `wanted`, as soon as the server has told of it
  let at = null; // the seq that the window is looked at from; null: the newest
  let newAfter = null; // where the divider stands
  let atDivider = false; // the divider is to stay in sight until one has moved
  let atBottom = true;
  let leaping = false; // on the way to the newest: no scrolling from before says where one is
  let height = 0; // of the log, when its scrolling was last put right
  let atLink = false; // the linked message has yet to be scrolled to
  const asked = new Set(); // where a history was asked for without the window opening there

  const writing = composer(client, drafts, {
    send(body) {
      client.post(entered, body);
      toNewest();
    },
    async edit(id, seq, body) {
      try {
        await client.edit(id, seq, body);
        return true;
      } catch (error) {
        notify(reason(error));
        return false;
      }
    },
    typed: () => client.type(entered),
    newestOwn: () => onShow(room()).messages.findLast(({ sender, deleted }) => sender === client.state.me && !deleted),
  });

  log.addEventListener("scroll", scrolled, { passive: true });
  log.addEventListener("keydown", walk);
  list.addEventListener("click", act);
  list.addEventListener("focusin", reach);
  jump.addEventListener("click", toNewest);
  new ResizeObserver(resized).observe(log);

  return { enter, readAll, render };

  function room() {
    return client.state.rooms.get(entered);
  }

  function enter(id, seq) {
    wanted = id;
    linked = seq;
    entered = null;
    list.replaceChildren();
    client.look(null);
  }

  function render() {
    if (entered === null && client.state.rooms.has(wanted)) begin();
    const shown = room();
    for (const part of [log, form]) part.hidden = !shown;
    head.hidden = !shown && !client.synced;
    nothing.hidden = Boolean(shown);
    if (!shown) return renderNothing();
    const silent = shown.kind === "feed" && shown.role === "member";
    const slow = shown.slow_mode > 0 && shown.role === "member";
    const why = silent ? text("room.readonly") : slow ? text("room.slow", { count: shown.slow_mode }) : "";
    writing.disable(silent || isBanned(client.status), why);
    renderHead(shown);
    write(typists, typingWords(client.typists(entered)));
    log.setAttribute("aria-label", text("room.log", { name: nameOf(shown) }));
    // A catch-up or a page of history is not news: nobody wants it all read out.
    log.setAttribute("aria-live", client.synced && !client.loading ? "polite" : "off");
    log.setAttribute("aria-busy", String(!client.synced || client.loading));
    const { messages } = onShow(shown);
    if (shown.window === null) windowLost();
    if (newAfter === null && unread(shown) > 0 && !reading()) divide(shown);
    const waiting = pending(client.state, shown);
    hold(() => renderRows(rows({ room: shown, messages, waiting, newAfter, me: client.state.me })));
    settle();
  }

  /** What follows from the place one is at, after the rows or the place changed. */
  function settle() {
    loadMore();
    markRead();
    const count = unread(room());
    jump.hidden = atBottom && !onShow(room()).moreAfter;
    write(jump, count > 0 ? text("jump.new", { count }) : text("jump"));
  }

  function renderHead(shown) {
    const presence = shown.kind === "direct" ? client.state.people.get(shown.peer) : undefined;
    write(head.querySelector("h1"), nameOf(shown));
    write(head.querySelector(".about .words"), about(shown, presence));
    paintDot(head.querySelector(".dot"), presence);
    head.querySelector(".people").hidden = shown.kind === "direct";
  }

  function renderNothing() {
    write(head.querySelector("h1"), text("room.none"));
    write(head.querySelector(".about .words"), "");
    head.querySelector(".dot").hidden = head.querySelector(".people").hidden = true;
    nothing.querySelector("button").hidden = !client.synced;
    const words = wanted === null ? "room.choose" : "room.missing";
    write(nothing.querySelector("p"), text(client.synced ? words : "room.loading"));
  }

  function about(shown, presence) {
    if (shown.kind === "direct") return presence ? presenceWords(presence) : text("room.direct");
    const count = onlineIn(client.state, shown);
    const who = shown.kind === "everyone" ? text("room.everyone") : text("room.members", { count: shown.members });
    return count === undefined ? who : `${who} · ${text("room.online", { count })}`;
  }

  /** At the linked message, at the first unread one, or at the newest. */
  function begin() {
    entered = wanted;
    const shown = room();
    asked.clear();
    if (linked > shown.seq) linked = null; // beyond the end, where nothing could be scrolled to
    newAfter = null;
    if (unread(shown) > 0) divide(shown);
    at = linked ?? (newAfter === null ? null : newAfter + 1);
    atLink = linked !== null;
    atDivider = newAfter !== null && !atLink;
    atBottom = !atLink;
    client.look(entered, at);
    writing.enter(entered, nameOf(shown));
  }

  function divide({ read_seq }) {
    newAfter = read_seq;
    atDivider = atBottom;
  }

  /** Whether what arrives at the end is seen at once. */
  function reading() {
    return document.visibilityState === "visible" && client.synced && atBottom;
  }

  function toNewest() {
    at = null;
    atBottom = leaping = true;
    atDivider = atLink = false;
    client.look(entered, null);
  }

  /** Whoever says that they have seen it all needs no divider. */
  function readAll() {
    const shown = room();
    if (!shown) return;
    client.read(entered, shown.seq);
    newAfter = null;
    toNewest();
  }

  // After a reset the window is gone: whoever was reading further up is led back there.
  function windowLost() {
    const row = firstInSight();
    const place = atBottom ? null : Number(row?.dataset.seq);
    if (!row || atLink || place === at) return;
    at = place;
    client.look(entered, at);
  }

  function renderRows(all) {
    const options = { me: client.state.me, address: (seq) => address(entered, seq) };
    const create = ({ kind }) => (kind === "message" ? messageRow() : clone(`${kind}-row`));
    show(list, all, create, (element, row) => {
      if (row.kind === "day") write(element, dayName(row.at));
      else if (row.kind === "new") write(element, text("new"));
      else if (row.kind === "empty" || row.kind === "gone") write(element, text(`room.${row.kind}`));
      else fillMessage(element, row, { ...options, linked: linked !== null && row.message.seq === linked });
    });
  }

  /** Lets `change` alter the rows while what one reads stays where it is: the end if one is there, else the first row in sight. */
  function hold(change) {
    const anchor = atBottom ? null : firstInSight();
    const before = anchor?.getBoundingClientRect().top;
    change();
    leaping = false;
    if (atLink) return scrollToLink();
    if (atBottom) scrollToEnd();
    else if (anchor?.isConnected) log.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  function scrollToLink() {
    const target = list.querySelector(".is-linked");
    if (!target) return;
    target.scrollIntoView({ block: "center" });
    atLink = atBottom = false;
  }

  function scrollToEnd() {
    const divider = atDivider ? list.querySelector(".new") : null;
    const shown = room();
    if (!divider && shown && onShow(shown).moreAfter) return;
    log.scrollTop = divider ? Math.min(log.scrollHeight, divider.offsetTop - ABOVE_DIVIDER) : log.scrollHeight;
  }

  function firstInSight() {
    const { top } = log.getBoundingClientRect();
    return [...list.querySelectorAll(".message[data-seq]")].find((row) => row.getBoundingClientRect().bottom > top);
  }

  function below() {
    return log.scrollHeight - log.clientHeight - log.scrollTop;
  }

  function resized() {
    height = log.clientHeight;
    hold(() => {});
    if (room()) settle();
  }

  function scrolled() {
    const shown = room();
    // A resize scrolls too, and is heard of here first: nobody has moved, and `resized` is about to put it right.
    if (leaping || !shown?.window || log.hidden || log.clientHeight !== height) return;
    atBottom = below() <= AT_BOTTOM && !onShow(shown).moreAfter;
    atDivider &&= atBottom;
    settle();
  }

  function loadMore() {
    const shown = room();
    const { messages, moreBefore, moreAfter } = onShow(shown);
    if (!client.synced) return asked.clear();
    if (messages.length === 0) return moreBefore ? openWindow(shown) : undefined;
    asked.clear();
    if (moreBefore && log.scrollTop < LOAD_AHEAD) client.load(entered, "before", messages[0].seq);
    if (moreAfter && below() < LOAD_AHEAD) client.load(entered, "after", messages.at(-1).seq);
  }

  // A place that the server's history does not have must not be asked for again and again: then the newest is shown.
  function openWindow(shown) {
    if (client.loading) return;
    if (!asked.has(at)) {
      asked.add(at);
      if (at === null) client.load(entered, "before", shown.seq + 1);
      else client.load(entered, "around", at);
    } else if (at !== null) {
      toNewest();
    }
  }

  function markRead() {
    if (document.visibilityState !== "visible" || log.clientHeight === 0) return;
    const { bottom } = log.getBoundingClientRect();
    const last = [...list.querySelectorAll(".message[data-seq]")].findLast((row) => row.getBoundingClientRect().bottom <= bottom + 1);
    if (last) client.read(entered, Number(last.dataset.seq));
  }

  function act(event) {
    const button = event.target.closest("button, .time");
    if (!button) return;
    const row = button.closest(".message");
    const seq = Number(row.dataset.seq);
    const item = client.state.outbox.find(({ id }) => row.dataset.key === `${client.state.me} ${id}`);
    if (button.matches(".time[href]")) {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      visit(entered, seq);
    } else if (button.matches(".edit")) writing.beginEdit(room().messages.get(seq));
    else if (button.matches(".delete")) confirmDelete(seq);
    else if (button.matches(".retry")) client.retryPost(item.id);
    else if (button.matches(".copy")) navigator.clipboard?.writeText(item.body);
    else if (button.matches(".discard")) client.discardPost(item.id);
  }

  function confirmDelete(seq) {
    const id = entered;
    confirmation.returnValue = "";
    confirmation.onclose = () => {
      if (confirmation.returnValue === "delete") client.delete(id, seq).catch((error) => notify(reason(error)));
    };
    confirmation.showModal();
  }

  /** Of all the links in the list Tab reaches those of the message that one has walked to. */
  function reach(event) {
    const row = event.target.closest(".message");
    for (const link of list.querySelectorAll('a[tabindex="0"]')) link.tabIndex = -1;
    for (const link of row?.querySelectorAll("a") ?? []) link.tabIndex = 0;
  }

  /** The list is one tab stop: arrows walk from message to message, Tab goes on to what can be done with one. */
  function walk(event) {
    const steps = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" };
    const step = steps[event.key];
    if (!step || event.target.closest("button, a")) return;
    let row = event.target.closest(".message");
    if (!row) row = event.key === "ArrowUp" ? list.lastElementChild : firstInSight();
    else do row = row[step]; while (row && !row.matches(".message"));
    if (!row) return;
    event.preventDefault();
    row.focus();
  }
}
