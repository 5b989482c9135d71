// What stands in the composer's place where one cannot write, and why.

import { rights } from "./rights.js";
import { write } from "./rows.js";
import { listNames, reason, text } from "./text.js";

/** `notify(words)` says something. Gives back `render(room)`. */
export function closure(client, { notify }) {
  const form = document.querySelector(".composer");
  const notice = form.querySelector(".closed");
  const button = notice.querySelector("button");
  let open; // makes it possible again to write

  button.addEventListener("click", () => open().catch((error) => notify(reason(error))));

  return (room) => {
    const why = room && reasons(room);
    notice.hidden = !why;
    form.classList.toggle("is-closed", Boolean(why));
    if (!why) return;
    open = why.open;
    write(notice.querySelector(".words"), why.words);
    button.hidden = !why.act;
    write(button, why.act ?? "");
  };

  function reasons(room) {
    if (rights(room).write) return undefined;
    if (room.archived) return { words: text("closed.archived"), act: rights(room).archive && text("restore"), open: () => client.archive(room.room, false) };
    if (room.blocked) return { words: text("closed.blocked", { name: room.peer }), act: text("unblock"), open: () => client.block(room.peer, false) };
    return { words: writers(room) };
  }
}

/** Who writes in a feed; a large one does not tell their names. */
export function writers({ roles }) {
  return roles.size > 0 ? text("closed.feed", { names: listNames([...roles.keys()].sort(), 3) }) : text("room.readonly");
}
