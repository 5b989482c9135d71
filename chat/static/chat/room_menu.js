// What one may do with the room on show: a menu behind the button in its head.

import { closesBeside, formDialog } from "./dialog.js";
import { offer, walkWithArrows } from "./menu.js";
import { isMuted } from "./reducer.js";
import { isLastOwner, rights } from "./rights.js";
import { nameOf } from "./rooms.js";
import { write } from "./rows.js";
import { reason, text } from "./text.js";

/**
 * `confirm(question)`, `invite(room)` and `openCard(username)` are dialogs, `left()` is called after one has left the room on show,
 * `notify(words)` says something. Gives back `open()` and `render(current)`.
 */
export function roomMenu(client, { confirm, invite, openCard, left, notify }) {
  const menu = document.querySelector(".room-menu");
  let current = null;
  let renamed; // the room that was on show when one asked for it
  const room = () => client.state.rooms.get(current);

  const rename = formDialog(".rename-dialog", async ({ name }) => {
    await client.rename(renamed, name.value.trim());
  });
  const acts = {
    person: () => openCard(room().peer),
    invite: () => invite(room()),
    rename: () => {
      renamed = current;
      rename.open();
      rename.form.elements.name.value = room().name;
      rename.form.elements.name.select();
    },
    mute: () => attempt(client.notify(current, "none")),
    unmute: () => attempt(client.notify(current, "all")),
    archive,
    restore,
    leave,
  };

  closesBeside(menu);
  menu.addEventListener("click", async ({ target }) => {
    const name = target.closest("[data-act]")?.dataset.act;
    if (name === undefined) return;
    menu.close();
    if (room()) await acts[name]();
  });
  walkWithArrows(menu);

  return { open, render };

  function open() {
    if (room() && !menu.open) menu.showModal();
  }

  function render(id) {
    const before = current;
    current = id;
    const shown = room();
    if (id !== before || !shown) menu.close();
    const may = shown ? rights(shown) : {};
    offer(menu, { person: shown?.kind === "direct", mute: shown && !isMuted(shown), unmute: shown && isMuted(shown), invite: may.invite, rename: may.rename, archive: may.archive && !shown.archived, restore: may.archive && shown.archived, leave: may.leave });
    if (shown?.kind === "direct") write(menu.querySelector('[data-act="person"]'), text("person.about", { name: shown.peer }));
  }

  async function archive() {
    const id = current;
    if (await confirm({ title: text("archive.title", { name: nameOf(room()) }), words: text("archive.words"), act: text("archive") })) await attempt(client.archive(id, true));
  }

  function restore() {
    return attempt(client.archive(current, false));
  }

  async function leave() {
    const id = current;
    if (!(await confirm({ title: text("leave.title", { name: nameOf(room()) }), words: consequences(room()), act: text("leave") }))) return;
    if ((await attempt(client.leave(id))) && current === id) left();
  }

  async function attempt(request) {
    try {
      await request;
      return true;
    } catch (error) {
      notify(reason(error));
      return false;
    }
  }
}

/** What comes of leaving. */
function consequences(room) {
  if (room.members === 1) return text("leave.empty");
  const back = text(room.open ? "leave.open" : "leave.invited");
  return isLastOwner(room) ? `${text("leave.owner")} ${back}` : back;
}
