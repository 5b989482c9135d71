// The dialog that goes to a room, or to a person, by a few letters of the name.

import { destinations } from "./destinations.js";
import { composes } from "./keystroke.js";
import { unread } from "./reducer.js";
import { clone, paintAvatar, show, write } from "./rows.js";
import { reason, text } from "./text.js";

/** `choose(room)` goes to a room. Gives back `open()`. */
export function switcher(client, { choose }) {
  const dialog = document.querySelector(".switch-dialog");
  const form = dialog.querySelector("form");
  const field = form.elements.query;
  const list = dialog.querySelector(".found");
  const error = dialog.querySelector(".error");
  const search = client.search(
    (answer) => {
      found = answer;
      asking = false;
      render();
    },
    (refusal) => write(error, reason(refusal)),
  );
  let found;
  let asking = false;
  let items = [];
  let at = ""; // the key of the item that Enter goes to

  document.querySelector(".find").addEventListener("click", open);
  field.addEventListener("input", type);
  field.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (composes(event) || !step || items.length === 0) return;
    event.preventDefault();
    at = items[(place() + step + items.length) % items.length].key;
    render();
    list.children[place()].scrollIntoView({ block: "nearest" });
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(items[place()]);
  });
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".found-row");
    if (row) go(items.find(({ key }) => key === row.dataset.key));
  });
  dialog.addEventListener("close", () => search.forget());
  return open;

  function open() {
    if (dialog.open) return;
    field.value = "";
    type();
    dialog.showModal();
  }

  function type() {
    found = undefined;
    at = "";
    asking = field.value.trim() !== "";
    if (asking) search.for(field.value.trim());
    else search.forget();
    render();
  }

  // What comes later stands behind what is there: the choice stays where it is.
  function render() {
    items = destinations(client.state, field.value, found);
    show(list, items, () => clone("found-row"), fill);
    write(error, items.length === 0 && !asking ? text("switch.none") : "");
    field.setAttribute("aria-activedescendant", items.length > 0 ? list.children[place()].id : "");
  }

  function place() {
    return Math.max(0, items.findIndex(({ key }) => key === at));
  }

  function fill(element, item) {
    const { room, user, join, name } = item;
    const face = user ?? (room?.kind === "direct" ? room.peer : undefined);
    const avatar = element.querySelector(".avatar");
    const count = room ? unread(room) : 0;
    element.id = `found ${item.key}`.replaceAll(" ", "-");
    element.ariaSelected = String(items[place()] === item);
    avatar.hidden = face === undefined;
    element.querySelector(".sigil").hidden = face !== undefined;
    if (face !== undefined) paintAvatar(avatar, face);
    write(element.querySelector(".name"), name);
    write(element.querySelector(".hint"), join ? text("switch.join", { count: join.members }) : user ? text("switch.person") : room.archived ? text("room.archived") : "");
    element.querySelector(".badge").hidden = count === 0;
    write(element.querySelector(".badge"), count > 99 ? "99+" : String(count));
  }

  async function go(item) {
    if (!item) return;
    try {
      const room = await arrive(item);
      dialog.close();
      choose(room);
    } catch (refusal) {
      write(error, reason(refusal));
    }
  }

  async function arrive({ room, user, join }) {
    if (user !== undefined) return client.open(user);
    if (join) await client.join(join.room);
    return (room ?? join).room;
  }
}
