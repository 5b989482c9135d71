// What may be done with one message: the buttons in its row, and the menu behind them.

import { copy } from "./clipboard.js";
import { offer, walkWithArrows } from "./menu.js";
import { rightsWith } from "./rights.js";
import { text } from "./text.js";

const LONG = 500; // ms of a press
const STRAY = 10; // px that a finger moves while it rests

/**
 * `room()` is the one on show; `act` has what is done with a message elsewhere: edit, remove, unread, report and its
 * `address`; `notify(words, role)` says something. Gives back `close()`, for when another room comes.
 */
export function messageMenu(client, list, { room, act, notify }) {
  const menu = document.querySelector(".message-menu");
  let message = null;
  let pressed;
  let resting = false; // the finger that opened the menu has not been lifted and put down again

  const acts = {
    copy: async ({ body }) => notify(text((await copy(body)) ? "copied" : "copied.not"), "status"),
    link: async (of) => notify(text((await copy(act.address(of))) ? "copied.link" : "copied.not"), "status"),
    edit: act.edit,
    delete: act.remove,
    unread: act.unread,
    report: act.report,
  };

  list.addEventListener("click", ({ target }) => {
    const opener = target.closest(".actions .more");
    resting = false;
    if (opener) open(opener.closest(".message"));
  });
  list.addEventListener("keydown", (event) => {
    const asks = event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey);
    if (!asks || !event.target.matches(".message[data-seq]")) return;
    event.preventDefault();
    open(event.target);
  });
  list.addEventListener("pointerdown", press);
  for (const end of ["pointerup", "pointercancel", "pointermove", "scroll"]) document.addEventListener(end, release, { capture: true, passive: true });
  list.addEventListener("contextmenu", (event) => {
    // The finger that opened the menu, or is about to, wants no second one.
    if (pressed && !event.target.closest("a")) event.preventDefault();
  });
  menu.addEventListener("pointerdown", () => (resting = false));
  menu.addEventListener("click", ({ target, detail }) => {
    // Lifted, it clicks whatever has come to lie under it.
    if (resting && detail > 0) return;
    const name = target.closest("[data-act]")?.dataset.act;
    if (name || target === menu) menu.close();
    if (name) acts[name](message);
  });
  walkWithArrows(menu);
  menu.addEventListener("close", () => {
    const row = list.querySelector(".is-chosen");
    row?.classList.remove("is-chosen");
    row?.querySelector(".more").removeAttribute("aria-expanded");
  });
  return { close };

  function close() {
    release();
    menu.close();
  }

  function open(row) {
    const held = room()?.messages.get(Number(row.dataset.seq));
    if (!held) return;
    [message] = client.veil(room().room, [held]);
    if (message.deleting) return;
    offer(menu, rightsWith(room(), message, client.state.me));
    row.classList.add("is-chosen");
    row.querySelector(".more").ariaExpanded = "true";
    menu.showModal();
  }

  // A finger that rests on a message asks for its menu; a mouse has the button in the row.
  function press(event) {
    release();
    const row = event.target.closest(".message[data-seq]");
    if (event.pointerType === "mouse" || !row || event.target.closest("a, button")) return;
    pressed = { x: event.clientX, y: event.clientY, timer: setTimeout(() => rest(row), LONG) };
  }

  function rest(row) {
    resting = true;
    open(row);
  }

  function release(event) {
    const stays = event?.type === "pointermove" && pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < STRAY;
    if (!pressed || stays) return;
    clearTimeout(pressed.timer);
    pressed = undefined;
  }
}
