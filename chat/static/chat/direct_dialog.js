// The dialog that begins a direct message.

import { formDialog } from "./dialog.js";
import { peopleField } from "./people_field.js";

/** `choose(room)` goes to the room. Gives back `open()`. */
export function directDialog(client, { choose }) {
  const { form, open } = formDialog(".direct-dialog", async () => {
    const room = await client.open(people.users()[0]);
    return () => choose(room);
  });
  const field = form.querySelector("input");
  const people = peopleField(form.querySelector(".people-field"), client, {
    isOffered: (user) => user !== client.state.me,
    onpick(user) {
      field.value = user;
      form.requestSubmit();
    },
  });

  return () => {
    open();
    people.clear();
  };
}
