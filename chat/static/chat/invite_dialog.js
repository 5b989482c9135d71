// The dialog that brings people into a room.

import { formDialog } from "./dialog.js";
import { peopleField } from "./people_field.js";
import { nameOf } from "./rooms.js";
import { write } from "./rows.js";
import { text } from "./text.js";

/** `notify(words)` says that they were invited. Gives back `open(room)`. */
export function inviteDialog(client, { notify }) {
  let room = null;
  const { dialog, form, open } = formDialog(".invite-dialog", async () => {
    const users = people.users();
    if (users.length === 0) {
      form.querySelector("input").focus();
      return false;
    }
    await client.invite(room.room, users);
    return () => notify(text("invited", { count: users.length }));
  });
  const people = peopleField(form.querySelector(".people-field"), client, { isOffered: (user) => !room.receipts.has(user) && user !== client.state.me });

  return (shown) => {
    room = shown;
    write(dialog.querySelector("h2"), text("invite.title", { name: nameOf(room) }));
    open();
    people.clear();
  };
}
