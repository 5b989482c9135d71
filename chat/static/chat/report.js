// The dialog that reports a message, or a person, to those who run the site.

import { formDialog } from "./dialog.js";
import { write } from "./rows.js";
import { text } from "./text.js";

const QUOTED = 280;

/** `notify(words)` says that it was sent. Gives back `reportMessage(message)` and `reportPerson(username)`. */
export function reports(client, { notify }) {
  let subject = null;
  const { dialog, open } = formDialog(".report-dialog", async ({ reason }) => {
    await client.report(subject, reason.value.trim());
    return () => notify(text("reported"));
  });

  return {
    reportMessage({ room, seq, sender, body }) {
      ask({ room, seq }, sender ? text("report.message_of", { name: sender }) : text("report.message"), body);
    },
    reportPerson(user) {
      ask({ user }, text("report.person", { name: user }), "");
    },
  };

  function ask(about, title, words) {
    subject = about;
    const quote = dialog.querySelector("blockquote");
    const letters = [...words];
    quote.hidden = words === "";
    write(quote, letters.length > QUOTED ? `${letters.slice(0, QUOTED).join("")}…` : words);
    write(dialog.querySelector("h2"), title);
    open();
  }
}
