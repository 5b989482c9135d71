// One message as an element: its author, words, marks, and what may be done with it.

import { countDown } from "./countdown.js";
import { parts } from "./links.js";
import { clone, paintAvatar, show, write } from "./rows.js";
import { clockTime, exactTime, listNames, reason, text, waitWords } from "./text.js";

const FACES = 3;

// A row is filled again only when what it shows is another object: the reducer never changes a message in place.
const filled = new WeakMap();

export const messageRow = () => clone("message-row");

/** `address(seq)` is a message's own URL, `linked` whether one came for this message, `mayEdit(message)` whether its words may be changed. */
export function fillMessage(element, row, { me, address, linked, mayEdit }) {
  const { message, mark, opens, folded, readers = [], readBy = [] } = row;
  element.classList.toggle("is-linked", linked);
  element.classList.toggle("is-editable", mayEdit(message));
  const before = filled.get(element);
  const same = before?.message === message && before.mark === mark && before.opens === opens && before.folded === folded;
  if (same && String(before.readBy ?? "") === String(readBy) && String(before.readers ?? "") === String(readers)) return;
  filled.set(element, row);

  const { sender, seq, at, body, deleted, deleting, edited_at, pending, announcement } = message;
  const failed = message.state === "failed";
  const time = element.querySelector("time");
  const link = element.querySelector(".time");
  if (seq !== undefined) element.dataset.seq = seq;
  element.classList.toggle("opens", opens);
  element.classList.toggle("is-system", sender === null && !announcement);
  element.classList.toggle("is-announcement", Boolean(announcement));
  element.classList.toggle("is-folded", Boolean(folded));
  element.classList.toggle("is-deleted", Boolean(deleted));
  element.classList.toggle("is-pending", message.state === "sending");
  element.classList.toggle("is-failed", failed);
  element.classList.toggle("is-deleting", Boolean(deleting));
  paintAvatar(element.querySelector(".avatar"), sender ?? "");
  fillSender(element, sender);
  if (seq !== undefined) link.href = address(seq);
  time.dateTime = new Date(at).toISOString();
  time.title = exactTime(at);
  write(time, clockTime(at));
  if (folded) fold(element.querySelector(".body"));
  else fillBody(element.querySelector(".body"), deleted ? text("message.deleted") : body, edited_at && !deleted);
  // Faces say more than a mark does.
  fillMark(element.querySelector(".mark"), readers.length > 0 ? undefined : mark);
  fillReaders(element.querySelector(".readers"), readers, readBy);
  countDown(element.querySelector(".waits"), message.until, (left) => text("waits", { time: waitWords(left) }));
  fillUndoing(element, deleting);
  element.querySelector(".actions").hidden = Boolean(pending || deleting);
  element.querySelector(".failure").hidden = !failed;
  write(element.querySelector(".why"), failed ? reason(message) : "");
  element.ariaLabel = spoken(row);
}

/** The row in one sentence, for those who hear it. */
function spoken({ message: { sender, at, body, deleted, edited_at, announcement }, folded, mark, readBy = [] }) {
  if (folded) return text("message.folded");
  const words = deleted ? text("message.deleted") : body;
  const said = text(sender === null ? "message.told" : "message.said", { name: sender, time: clockTime(at), words });
  const edited = edited_at && !deleted && text("message.edited");
  const fate = readBy.length > 0 ? text("mark.read_by", { names: listNames(readBy) }) : mark && text(`mark.${mark}`);
  return [announcement && text("message.announced"), said, edited, fate].filter(Boolean).join(text("comma"));
}

/** A name and a face lead to the person; the system is nobody. */
function fillSender(element, sender) {
  const name = element.querySelector(".sender");
  name.hidden = sender === null;
  write(name, sender ?? "");
  for (const part of [name, element.querySelector(".avatar")]) {
    if (sender === null) delete part.dataset.person;
    else part.dataset.person = sender;
  }
}

/** What somebody said whom one has blocked, until one asks for it. */
function fold(element) {
  const unfold = Object.assign(document.createElement("button"), { type: "button", className: "unfold", tabIndex: -1, textContent: text("message.unfold") });
  element.replaceChildren(text("message.folded"), " · ", unfold);
}

function fillBody(element, words, edited) {
  element.replaceChildren(...parts(words).map(({ text: part, href }) => (href ? link(part, href) : part)));
  if (edited) element.append(" ", Object.assign(document.createElement("span"), { className: "note", textContent: text("message.edited") }));
}

/** Whoever is about to undo it when it is too late stays at the message. */
function fillUndoing(element, deleting) {
  const undoing = element.querySelector(".undoing");
  const undo = element.querySelector(".undo");
  if (!deleting?.undo && undo === document.activeElement) element.focus();
  undoing.hidden = !deleting;
  undo.hidden = !deleting?.undo;
}

function link(words, href) {
  return Object.assign(document.createElement("a"), { textContent: words, href, tabIndex: -1, target: "_blank", rel: "noopener noreferrer nofollow" });
}

function fillMark(element, mark) {
  element.hidden = !mark;
  if (!mark) return;
  const words = text(`mark.${mark}`);
  element.dataset.mark = mark;
  element.title = words;
  write(element.querySelector(".words"), words);
}

/** The faces of those who have read up to here, the names of all who have read it. */
function fillReaders(element, readers, readBy) {
  element.hidden = readers.length === 0;
  const rest = readers.length - FACES;
  element.dataset.count = readers.length;
  const faces = (rest > 1 ? readers.slice(0, FACES) : readers).map((name) => ({ key: name, name }));
  if (rest > 1) faces.push({ key: "", rest: `+${rest}` });
  show(element.querySelector(".faces"), faces, () => clone("reader"), fillFace);
  write(element.querySelector(".words"), readBy.length > 0 ? text("mark.read_by", { names: listNames(readBy) }) : "");
}

function fillFace(element, { name, rest }) {
  element.classList.toggle("is-rest", Boolean(rest));
  if (rest) return write(element, rest);
  element.dataset.person = name;
  paintAvatar(element, name);
}
