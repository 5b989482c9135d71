// The dialog that makes a group, or a feed.

import { formDialog } from "./dialog.js";
import { peopleField } from "./people_field.js";

/** `choose(room)` goes to the new room. Gives back `open()`. */
export function groupDialog(client, { choose }) {
  const { form, open } = formDialog(".group-dialog", async ({ name, access }) => {
    const kind = access.value === "feed" ? "feed" : "group";
    const room = await client.create({ name: name.value.trim(), kind, members: people.users(), open: access.value === "open" });
    return () => choose(room);
  });
  const people = peopleField(form.querySelector(".people-field"), client, { isOffered: (user) => user !== client.state.me });

  return () => {
    open();
    people.clear();
    form.elements.name.focus();
  };
}
