// Who is in the room on show: beside it where there is space, in a dialog where there is not.

import { membersOf } from "./people.js";
import { Roll } from "./roll.js";
import { clone, paintAvatar, paintDot, show, write } from "./rows.js";
import { presenceWords, text } from "./text.js";

const BESIDE = "(width >= 1024px)";
const OPEN_AT_FIRST = "(width >= 1280px)";

/** `choices` remembers. Gives back `render(current)`. */
export function details(client, choices) {
  const panel = document.querySelector(".details");
  const dialog = document.querySelector(".details-dialog");
  const page = document.querySelector(".chat");
  const button = document.querySelector(".people");
  const more = panel.querySelector(".more-members");
  const beside = matchMedia(BESIDE);
  const chosen = choices.get("members");
  const roll = new Roll({ ask: (room, after) => client.members(room, after), onchange: () => render(current) });
  let open = chosen ? chosen === "open" : matchMedia(OPEN_AT_FIRST).matches;
  let current = null;

  button.addEventListener("click", toggle);
  panel.querySelector(".close").addEventListener("click", toggle);
  panel.addEventListener("keydown", (event) => {
    // In a dialog the browser does it; here Escape would go on to mark the room as read.
    if (event.key !== "Escape" || !beside.matches || event.defaultPrevented) return;
    event.preventDefault();
    toggle();
  });
  more.addEventListener("click", () => {
    roll.next();
    render(current);
  });
  dialog.addEventListener("close", () => render(current));
  beside.addEventListener("change", () => {
    dialog.close();
    render(current);
  });
  return render;

  function toggle() {
    if (beside.matches) {
      open = !open;
      choices.set("members", open ? "open" : "closed");
      if (!open) button.focus();
    } else if (dialog.open) dialog.close();
    else dialog.showModal();
    render(current);
  }

  function render(id) {
    current = id;
    const found = client.state.rooms.get(id);
    const room = found?.kind === "direct" ? undefined : found; // the head says it all
    if (!room && dialog.open) dialog.close();
    const home = beside.matches ? page : dialog;
    if (panel.parentElement !== home) home.append(panel);
    const shown = Boolean(room) && (beside.matches ? open : dialog.open);
    panel.hidden = !shown;
    button.ariaExpanded = String(shown);
    const large = shown && client.synced && room.receipts.size === 0;
    if (large || !shown) roll.turn(large ? id : null);
    if (!shown) return;
    const members = (large ? roll.members : membersOf(client.state, room)).map((member) => ({ ...member, key: member.user }));
    more.hidden = !large || !roll.more;
    show(panel.querySelector(".members"), members, () => clone("member-row"), fill);
  }

  function fill(element, { user, role, presence }) {
    const member = element.querySelector("button");
    const words = [role !== "member" && text(`role.${role}`), presence && presenceWords(presence)];
    member.dataset.person = user;
    member.dataset.role = role;
    paintAvatar(element.querySelector(".avatar"), user);
    paintDot(element.querySelector(".dot"), presence);
    write(element.querySelector(".name"), user === client.state.me ? text("you", { name: user }) : user);
    write(element.querySelector(".presence"), words.filter(Boolean).join(" · "));
  }
}
