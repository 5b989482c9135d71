// The dialog that goes to a room, or to a person, by a few letters of the name.

import { composes } from "./keystroke.js";
import { unread } from "./reducer.js";
import { find, nameOf } from "./rooms.js";
import { clone, paintAvatar, show, write } from "./rows.js";
import { reason, text } from "./text.js";

const SHOWN = 8;

/** `choose(room)` goes to a room. Gives back `open()`. */
export function switcher(client, { choose }) {
  const dialog = document.querySelector(".switch-dialog");
  const form = dialog.querySelector("form");
  const field = form.elements.query;
  const list = dialog.querySelector(".found");
  const error = dialog.querySelector(".error");
  let items = [];
  let at = 0;

  document.querySelector(".find").addEventListener("click", open);
  field.addEventListener("input", search);
  field.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (composes(event) || !step || items.length === 0) return;
    event.preventDefault();
    at = (at + step + items.length) % items.length;
    render();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(items[at]);
  });
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".found-row");
    if (row) go(items.find(({ key }) => key === row.dataset.key));
  });
  return open;

  function open() {
    if (dialog.open) return;
    field.value = "";
    search();
    dialog.showModal();
  }

  function search() {
    const query = field.value.trim();
    const found = find(client.state.rooms.values(), query);
    const known = found.some((room) => nameOf(room).toLowerCase() === query.toLowerCase());
    items = found.slice(0, SHOWN).map((room) => ({ key: `room ${room.room}`, room, name: nameOf(room) }));
    if (query && !known && !/\s/.test(query)) items.push({ key: "person", user: query, name: text("switch.direct", { name: query }) });
    write(error, items.length === 0 ? text("switch.none") : "");
    at = 0;
    render();
  }

  function render() {
    show(list, items, () => clone("found-row"), fill);
    field.setAttribute("aria-activedescendant", items.length > 0 ? list.children[at].id : "");
  }

  function fill(element, item) {
    const { room, user, name } = item;
    const face = user ?? (room.kind === "direct" ? room.peer : undefined);
    const avatar = element.querySelector(".avatar");
    const count = room ? unread(room) : 0;
    element.id = `found ${item.key}`.replaceAll(" ", "-");
    element.ariaSelected = String(items[at] === item);
    avatar.hidden = face === undefined;
    element.querySelector(".sigil").hidden = face !== undefined;
    if (face !== undefined) paintAvatar(avatar, face);
    write(element.querySelector(".name"), name);
    element.querySelector(".badge").hidden = count === 0;
    write(element.querySelector(".badge"), count > 99 ? "99+" : String(count));
  }

  async function go(item) {
    if (!item) return;
    try {
      const room = item.room?.room ?? (await client.open(item.user));
      dialog.close();
      choose(room);
    } catch (refusal) {
      write(error, reason(refusal));
    }
  }
}
