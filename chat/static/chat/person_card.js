// Who somebody is, and what one may do: opened wherever a name or a face is on the page.

import { closesBeside } from "./dialog.js";
import { blockedPeople, roleOf } from "./people.js";
import { rights, rightsOver } from "./rights.js";
import { nameOf } from "./rooms.js";
import { paintAvatar, paintDot, write } from "./rows.js";
import { presenceWords, reason, text } from "./text.js";

/**
 * `choose(room)` goes to a room, `report(username)` and `confirm(question)` ask. Gives back `render(current)` and `open(username, role)`,
 * where the list of a large room knows the role, which the room itself does not tell.
 */
export function personCard(client, { choose, report, confirm }) {
  const dialog = document.querySelector(".person-dialog");
  const error = dialog.querySelector(".error");
  let current = null;
  let user = null;
  let role; // as the list told

  const acts = {
    write: async () => leaveFor(await client.open(user)),
    block: () => client.block(user, true),
    unblock: () => client.block(user, false),
    report: () => {
      dialog.close();
      report(user);
    },
    invite: () => client.invite(current, [user]),
    owner: () => appoint("owner"),
    moderator: () => appoint("moderator"),
    member: () => appoint("member"),
    remove,
  };

  closesBeside(dialog);
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", ({ target }) => act(target.closest("[data-act]")?.dataset.act));
  dialog.addEventListener("close", () => (user = null));

  return { open, render };

  function open(username, knownRole) {
    user = username;
    role = knownRole;
    write(error, "");
    render(current);
    if (!dialog.open) dialog.showModal();
  }

  function render(room) {
    current = room;
    if (user === null) return;
    const pressed = dialog.querySelector("[data-act]:focus");
    const mine = user === client.state.me;
    const presence = client.state.people.get(user);
    const blocked = blockedPeople(client.state).has(user);
    paintAvatar(dialog.querySelector(".avatar"), user);
    paintDot(dialog.querySelector(".dot"), presence);
    write(dialog.querySelector("h2"), mine ? text("you", { name: user }) : user);
    write(dialog.querySelector(".about"), presence ? presenceWords(presence) : "");
    dialog.querySelector(".blocked").hidden = !blocked;
    write(button("write"), mine ? text("person.notes") : text("switch.direct", { name: user }));
    button("write").hidden = blocked;
    button("block").hidden = mine || blocked;
    button("unblock").hidden = !blocked;
    button("report").hidden = mine;
    renderRoom(client.state.rooms.get(room), mine);
    if (pressed && !isShown(pressed)) stayNear(pressed);
  }

  /** Whoever pressed what is no longer offered stays beside it: at what takes it back, if that is there. */
  function stayNear(pressed) {
    const acts = [...pressed.parentElement.children];
    const place = acts.indexOf(pressed);
    const near = acts.slice(0, place).findLast(isShown) ?? acts.slice(place).find(isShown);
    (near ?? dialog.querySelector(".close")).focus();
  }

  /** What they are in the room on show, and what one may do about it. */
  function renderRoom(room, mine) {
    const section = dialog.querySelector("section");
    const shared = room?.kind === "group" || room?.kind === "feed";
    section.hidden = !shared;
    if (!shared) return;
    const small = room.receipts.size > 0;
    const isIn = !small || room.receipts.has(user);
    const known = mine ? room.role : small ? roleOf(room, user) : role;
    const { appoint, remove: removable } = mine || !isIn ? { appoint: [] } : rightsOver(room, known);
    const place = isIn ? known && text(`role.${known}`) : text("person.outside");
    write(dialog.querySelector("h3"), place ? text("person.in", { name: nameOf(room), role: place }) : nameOf(room));
    button("invite").hidden = isIn || !rights(room).invite;
    for (const other of ["owner", "moderator", "member"]) button(other).hidden = !appoint.includes(other);
    button("remove").hidden = !removable;
  }

  function button(name) {
    return dialog.querySelector(`[data-act="${name}"]`);
  }

  async function act(name) {
    if (name === undefined) return;
    write(error, "");
    try {
      await acts[name]();
    } catch (refusal) {
      write(error, reason(refusal));
    }
  }

  async function appoint(as) {
    const who = user;
    await client.appoint(current, who, as);
    if (user !== who) return; // another card is open by now, or none
    role = as;
    render(current);
  }

  async function remove() {
    const [room, who] = [current, user];
    const shown = client.state.rooms.get(room);
    if (!shown) return;
    const name = nameOf(shown);
    const sure = await confirm({ title: text("remove.title", { name: who, room: name }), words: text("remove.words"), act: text("remove") });
    if (!sure) return;
    await client.remove(room, who);
    dialog.close();
  }

  // Whatever else is open lies over the room that one goes to.
  function leaveFor(room) {
    for (const other of document.querySelectorAll("dialog[open]")) other.close();
    choose(room);
  }
}

const isShown = (element) => !element.closest("[hidden]");
