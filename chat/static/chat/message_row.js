// One message as an element: its author, words, marks, and what may be done with it.

import { clone, paintAvatar, write } from "./rows.js";
import { clockTime, exactTime, reason, text } from "./text.js";

const TICKS = { sent: "✓", delivered: "✓✓", read: "✓✓" };

// A row is filled again only when what it shows is another object: the reducer never changes a message in place.
const filled = new WeakMap();

export const messageRow = () => clone("message-row");

/** `address(seq)` is a message's own URL, `linked` whether one came for this message. */
export function fillMessage(element, row, { me, address, linked }) {
  const { message, mark, opens } = row;
  element.classList.toggle("is-linked", linked);
  const before = filled.get(element);
  if (before?.message === message && before.mark === mark && before.opens === opens) return;
  filled.set(element, row);

  const { sender, seq, at, body, deleted, edited_at, pending } = message;
  const mine = sender === me && !pending && !deleted;
  const failed = message.state === "failed";
  const time = element.querySelector("time");
  const link = element.querySelector(".time");
  if (seq !== undefined) element.dataset.seq = seq;
  element.classList.toggle("opens", opens);
  element.classList.toggle("is-system", sender === null);
  element.classList.toggle("is-deleted", Boolean(deleted));
  element.classList.toggle("is-pending", message.state === "sending");
  element.classList.toggle("is-failed", failed);
  paintAvatar(element.querySelector(".avatar"), sender ?? "");
  write(element.querySelector(".sender"), sender ?? "");
  if (seq !== undefined) link.href = address(seq);
  time.dateTime = new Date(at).toISOString();
  time.title = exactTime(at);
  write(time, clockTime(at));
  fillBody(element.querySelector(".body"), deleted ? text("message.deleted") : body, edited_at && !deleted);
  fillMark(element.querySelector(".mark"), mark);
  element.querySelector(".actions").hidden = !mine;
  element.querySelector(".failure").hidden = !failed;
  write(element.querySelector(".why"), failed ? reason(message) : "");
}

function fillBody(element, words, edited) {
  element.textContent = words;
  if (!edited) return;
  const note = document.createElement("span");
  note.className = "note";
  note.textContent = ` ${text("message.edited")}`;
  element.append(note);
}

function fillMark(element, mark) {
  element.hidden = !mark;
  if (!mark) return;
  element.dataset.mark = mark;
  write(element.querySelector(".tick"), TICKS[mark] ?? "");
  write(element.querySelector(".words"), text(`mark.${mark}`));
}
