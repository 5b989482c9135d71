// The list of rooms with what is unread in each.

import { isFinal } from "./outage.js";
import { isMuted, unread } from "./reducer.js";
import { listed, nameOf } from "./rooms.js";
import { clone, paintAvatar, paintDot, show, write } from "./rows.js";
import { presenceWords, text } from "./text.js";

/** `choose(room)` goes to a room, `address(room)` is its URL, `isBegun(room)` tells whether something waits there to be sent. Gives back `render(current)`. */
export function rail(client, { choose, address, isBegun }) {
  const sections = document.querySelectorAll(".rooms [data-kind]");
  const skeleton = document.querySelector(".rooms .skeleton");
  let opened = null; // the archived room for which that list was opened

  document.querySelector(".rooms").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    choose(link.dataset.room);
  });
  paintAvatar(document.querySelector(".rail-foot .avatar"), client.state.me);

  return (current) => {
    const rooms = listed(client.state.rooms.values(), (id) => id === current || isBegun(id));
    for (const section of sections) {
      const { kind } = section.dataset;
      const items = rooms.filter((room) => (room.archived ? "archived" : room.kind) === kind).map((room) => ({ key: room.room, room }));
      const inviting = kind === "group" && client.synced; // whoever has no group yet finds here how to make one
      section.hidden = items.length === 0 && !inviting;
      if (kind === "group") section.querySelector(".none").hidden = items.length > 0;
      if (kind === "archived") write(section.querySelector(".count"), String(items.length));
      show(section.querySelector("ul"), items, () => clone("room-row"), (element, { room }) => fill(element, room, room.room === current));
    }
    skeleton.hidden = isFinal(client.status);
    const resting = client.state.rooms.get(current)?.archived ? current : null;
    if (resting !== null && resting !== opened) document.querySelector(".rooms details").open = true;
    opened = resting;
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
    link.ariaLabel = [nameOf(room), presence && presenceWords(presence), count > 0 && text("unread", { count })].filter(Boolean).join(text("comma"));
    link.classList.toggle("has-unread", count > 0 && !isMuted(room));
    badge.classList.toggle("is-quiet", isMuted(room));
    element.querySelector(".face").hidden = !direct;
    element.querySelector(".sigil").hidden = direct;
    if (direct) paintAvatar(element.querySelector(".avatar"), room.peer ?? nameOf(room));
    paintDot(element.querySelector(".dot"), presence);
    write(element.querySelector(".name"), nameOf(room));
    badge.hidden = count === 0;
    write(badge, count > 99 ? "99+" : String(count));
  }
}
