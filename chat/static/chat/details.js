// Who is in the room on show: beside it where there is space, in a dialog where there is not.

import { membersOf } from "./people.js";
import { clone, paintAvatar, paintDot, show, write } from "./rows.js";
import { presenceWords, reason, text } from "./text.js";

const BESIDE = "(width >= 1024px)";
const OPEN_AT_FIRST = "(width >= 1280px)";

/** `choices` remembers, `choose(room)` goes to a room, `notify(words)` says something. Gives back `render(current)`. */
export function details(client, choices, { choose, notify }) {
  const panel = document.querySelector(".details");
  const dialog = document.querySelector(".details-dialog");
  const page = document.querySelector(".chat");
  const button = document.querySelector(".people");
  const beside = matchMedia(BESIDE);
  const chosen = choices.get("members");
  let open = chosen ? chosen === "open" : matchMedia(OPEN_AT_FIRST).matches;
  let current = null;

  button.addEventListener("click", toggle);
  panel.querySelector(".close").addEventListener("click", toggle);
  panel.querySelector(".members").addEventListener("click", writeTo);
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
    if (!shown) return;
    const members = membersOf(client.state, room).map((member) => ({ ...member, key: member.user }));
    const none = panel.querySelector(".none");
    none.hidden = members.length > 0;
    write(none, text("members.none"));
    show(panel.querySelector(".members"), members, () => clone("member-row"), (element, member) => fill(element, member, room));
  }

  function fill(element, { user, presence }, { role }) {
    const mine = user === client.state.me;
    // The server tells nobody's role but one's own.
    const words = [mine && role !== "member" && text(`role.${role}`), presence && presenceWords(presence)];
    element.querySelector("button").dataset.user = user;
    paintAvatar(element.querySelector(".avatar"), user);
    paintDot(element.querySelector(".dot"), presence);
    write(element.querySelector(".name"), mine ? text("you", { name: user }) : user);
    write(element.querySelector(".presence"), words.filter(Boolean).join(" · "));
  }

  async function writeTo(event) {
    const user = event.target.closest("button")?.dataset.user;
    if (user === undefined) return;
    try {
      choose(await client.open(user));
      if (dialog.open) dialog.close();
    } catch (error) {
      notify(reason(error));
    }
  }
}
