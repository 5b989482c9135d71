// The list of rooms with what is unread in each, and the dialog that begins a direct message.

import { unread } from "./reducer.js";
import { inOrder, nameOf } from "./rooms.js";
import { clone, paintAvatar, paintDot, show, write } from "./rows.js";
import { presenceWords, reason, text } from "./text.js";

/** `choose(room)` goes to a room, `address(room)` is its URL. Gives back `render(current)`. */
export function rail(client, { choose, address }) {
  const sections = document.querySelectorAll(".rooms section");
  const dialog = document.querySelector(".direct-dialog");

  document.querySelector(".rooms").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    choose(link.dataset.room);
  });
  paintAvatar(document.querySelector(".rail-foot .avatar"), client.state.me);
  for (const button of document.querySelectorAll(".new-direct")) button.addEventListener("click", () => ask(dialog));
  dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const error = dialog.querySelector(".error");
    try {
      const room = await client.open(event.target.elements.to.value.trim());
      dialog.close();
      choose(room);
    } catch (refusal) {
      error.textContent = reason(refusal);
    }
  });

  return (current) => {
    const rooms = inOrder(client.state.rooms.values());
    for (const section of sections) {
      const items = rooms.filter(({ kind }) => kind === section.dataset.kind).map((room) => ({ key: room.room, room }));
      section.hidden = items.length === 0;
      show(section.querySelector("ul"), items, () => clone("room-row"), (element, { room }) => fill(element, room, room.room === current));
    }
  };

  function fill(element, room, isCurrent) {
    const link = element.querySelector("a");
    const badge = element.querySelector(".badge");
    const direct = room.kind === "direct";
    const presence = direct ? client.state.people.get(room.peer) : undefined;
    const count = unread(room);
    link.href = address(room.room);
    link.dataset.room = room.room;
    link.ariaCurrent = isCurrent ? "page" : null;
    link.ariaLabel = [nameOf(room), presence && presenceWords(presence), count > 0 && text("unread", { count })].filter(Boolean).join(", ");
    link.classList.toggle("has-unread", count > 0);
    element.querySelector(".face").hidden = !direct;
    element.querySelector(".sigil").hidden = direct;
    if (direct) paintAvatar(element.querySelector(".avatar"), room.peer ?? nameOf(room));
    paintDot(element.querySelector(".dot"), presence);
    write(element.querySelector(".name"), nameOf(room));
    badge.hidden = count === 0;
    write(badge, count > 99 ? "99+" : String(count));
  }
}

function ask(dialog) {
  dialog.querySelector("form").reset();
  dialog.querySelector(".error").textContent = "";
  dialog.showModal();
}
