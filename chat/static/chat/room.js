// The room on show: its head, its messages, where one writes, and what may be done with what was written.

import { copy } from "./clipboard.js";
import { writers } from "./closure.js";
import { composer } from "./composer.js";
import { isBanned } from "./connection.js";
import { leftovers } from "./leftovers.js";
import { messageLog } from "./log.js";
import { messageMenu } from "./message_menu.js";
import { isFinal, outage } from "./outage.js";
import { onlineIn } from "./people.js";
import { onShow } from "./reducer.js";
import { isReadOnly, rights, rightsWith } from "./rights.js";
import { nameOf } from "./rooms.js";
import { paintDot, write, writeNaming } from "./rows.js";
import { outageWords, presenceWords, reason, text, typingWords } from "./text.js";

/**
 * `notify(words, role)` says something to the person, `address(room, seq)` is a message's URL, `visit(room, seq)` goes there,
 * `redraw()` asks for a `render()` before the next frame, `report(room, message)` asks what is wrong with it, `enterSends()` is what this
 * person prefers.
 * Gives back `enter(room, seq)`, `readAll()` and `render()`.
 */
export function roomView(client, drafts, { notify, address, visit, redraw, report, enterSends }) {
  const pane = document.querySelector(".room");
  const head = document.querySelector(".room-head");
  const nothing = document.querySelector(".nothing");
  const log = document.querySelector(".log");
  const list = log.querySelector(".rows");
  const form = document.querySelector(".composer");
  const typists = form.querySelector(".typing");

  let wanted = null; // the room id that the address names
  let linked = null; // the seq that the address names
  let entered = null; // the room id on show: `wanted`, as soon as the server has told of it

  const messages = messageLog(client, { notify, address, redraw, mayEdit });
  const writing = composer(client, drafts, {
    send(id, body) {
      client.post(id, body);
      if (id === entered) messages.toNewest();
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
    typed: (id) => client.type(id),
    newestOwn: () => room() && client.veil(entered, onShow(room()).messages).findLast(mayEdit),
    enterSends,
    notify,
  });
  const drawLeftovers = leftovers(client, drafts, { notify });
  const menu = messageMenu(client, list, {
    room,
    notify,
    act: {
      address: ({ seq }) => new URL(address(entered, seq), location.href).href,
      edit: writing.beginEdit,
      remove,
      unread: ({ seq }) => client.markUnread(entered, seq).catch((error) => notify(reason(error))),
      report: (message) => report(room(), message),
    },
  });

  list.addEventListener("click", act);

  return { enter, readAll: messages.readAll, render };

  function room() {
    return client.state.rooms.get(entered);
  }

  function mayEdit(message) {
    return !message.pending && !message.deleting && rightsWith(room(), message, client.state.me).edit;
  }

  function enter(id, seq) {
    if (entered !== null && entered !== id) client.leaveBehind(entered);
    menu.close();
    wanted = id;
    linked = seq;
    if (id !== null && id === entered && seq !== null) return messages.visit(seq);
    entered = null;
    messages.end();
  }

  function render() {
    const known = client.state.rooms.has(wanted);
    const loading = !known && !client.synced && !isFinal(client.status);
    pane.classList.toggle("is-loading", loading);
    form.inert = loading;
    for (const part of [log, form]) part.hidden = !known && !loading;
    nothing.hidden = known || loading;
    if (loading) return;
    if (!known) return renderNothing();
    if (entered === null) begin();
    const shown = room();
    const why = !rights(shown).write ? text("room.readonly") : isBanned(client.status) ? ending() : "";
    writing.render(nameOf(shown), why, client.mayWriteAt(entered));
    renderHead(shown);
    const here = client.typists(entered);
    writeNaming(typists, typingWords(here), here.length > 2 ? [] : here);
    messages.render();
    if (isFinal(client.status) && list.childElementCount === 0) renderEnd();
  }

  function begin() {
    entered = wanted;
    messages.begin(entered, linked);
    writing.enter(entered);
  }

  function renderHead(shown) {
    const presence = shown.kind === "direct" ? client.state.people.get(shown.peer) : undefined;
    const title = head.querySelector("h1");
    write(title, nameOf(shown));
    if (shown.kind === "direct") title.dataset.person = shown.peer;
    else delete title.dataset.person;
    write(head.querySelector(".about .words"), about(shown, presence));
    paintDot(head.querySelector(".dot"), presence);
    head.querySelector(".people").hidden = shown.kind === "direct";
    head.querySelector(".more").hidden = false;
  }

  function renderNothing() {
    const title = head.querySelector("h1");
    write(title, text("room.none"));
    delete title.dataset.person;
    write(head.querySelector(".about .words"), "");
    for (const part of [".dot", ".people", ".more"]) head.querySelector(part).hidden = true;
    explain(isFinal(client.status) ? ending() : text(wanted === null ? "room.choose" : "room.missing"));
  }

  // Nothing of this room had come when the connection ended, and nothing will.
  function renderEnd() {
    log.hidden = true;
    nothing.hidden = false;
    explain(ending());
  }

  function explain(words) {
    nothing.querySelector("button").hidden = !client.synced;
    write(nothing.querySelector("p"), words);
    drawLeftovers(wanted);
  }

  /** Why the connection does not come back by itself. */
  function ending() {
    return outageWords(outage(client.status, 0, Date.now()));
  }

  function about(shown, presence) {
    if (shown.kind === "direct") return presence ? presenceWords(presence) : text("room.direct");
    const count = onlineIn(client.state, shown);
    const who = shown.kind === "everyone" ? text("room.everyone") : text("room.members", { count: shown.members });
    const parts = [shown.archived && text("room.archived"), who, count !== undefined && text("room.online", { count }), isReadOnly(shown) && writers(shown)];
    return parts.filter(Boolean).join(" · ");
  }

  function act(event) {
    const button = event.target.closest(".time[href], .failure button, .edit, .undo, .unfold");
    if (!button) return;
    const row = button.closest(".message");
    const seq = Number(row.dataset.seq);
    const message = room()?.messages.get(seq);
    const item = client.state.outbox.find(({ id }) => row.dataset.key === `${client.state.me} ${id}`);
    if (button.matches(".time")) {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      visit(entered, seq);
    } else if (button.matches(".unfold")) {
      messages.unfold(seq);
      row.focus();
    } else if (button.matches(".edit")) message && writing.beginEdit(message);
    else if (button.matches(".undo")) bringBack(row, seq);
    else if (!item) return; // another tab has settled it
    else if (button.matches(".retry")) client.retryPost(item.id);
    else if (button.matches(".copy")) copy(item.body).then((copied) => notify(text(copied ? "copied" : "copied.not"), "status"));
    else if (button.matches(".discard")) client.discardPost(item.id);
  }

  /** Whoever has just deleted it has at hand what undoes it. */
  function remove({ seq }) {
    client.delete(entered, seq);
    render();
    list.querySelector(`[data-seq="${seq}"] .undo`)?.focus({ preventScroll: true });
  }

  function bringBack(row, seq) {
    row.focus({ preventScroll: true });
    client.undelete(entered, seq);
  }
}
