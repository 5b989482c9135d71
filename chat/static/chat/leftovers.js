// Words for rooms that this person is no longer in: nobody will get them, so they can be copied before they go.

import { copy } from "./clipboard.js";
import { clone, show, write } from "./rows.js";
import { text } from "./text.js";

/** `notify(words, role)` says something. Gives back `render(room)`, for when that room cannot be shown. */
export function leftovers(client, drafts, { notify }) {
  const box = document.querySelector(".leftovers");
  const list = box.querySelector("ul");
  let items = [];

  list.addEventListener("click", async ({ target }) => {
    const item = items.find(({ key }) => key === target.closest("li")?.dataset.key);
    if (target.closest(".copy")) notify(text((await copy(item.body)) ? "copied" : "copied.not"), "status");
    if (target.closest(".discard")) item.discard();
  });

  return render;

  function render(room) {
    items = client.synced ? [...unsent(), ...draft(room)] : [];
    box.hidden = items.length === 0;
    show(list, items, () => clone("leftover-row"), (element, { body }) => write(element.querySelector(".words"), body));
  }

  function unsent() {
    const lost = client.state.outbox.filter(({ room }) => !client.state.rooms.has(room));
    return lost.map(({ id, body }) => ({ key: id, body, discard: () => client.discardPost(id) }));
  }

  function draft(room) {
    const body = room === null ? "" : drafts.get(room);
    return body.trim() === "" ? [] : [{ key: "draft", body, discard: () => forget(room) }];
  }

  function forget(room) {
    drafts.set(room, "");
    render(room);
  }
}
