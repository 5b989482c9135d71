// Where one writes: grows with its text, keeps a draft per room in step with other tabs, sends, and edits what was sent.

import { countDown } from "./countdown.js";
import { composes, sends } from "./keystroke.js";
import { text, waitWords } from "./text.js";

const COUNTED_FROM = 0.9;
const PONDERS = 3_000; // ms since the last key for which somebody is still writing

/**
 * `drafts` has get, set and onchange(callback). `send(room, body)`, `edit(room, seq, body)` (resolves with whether the server took it),
 * `typed(room)` (while one writes something new) get the room that was given to `enter`, which may not be on show
 * any more; `newestOwn()` is a message to edit, or nothing; `enterSends()` is what this person prefers, `notify(words, role)` says something.
 */
export function composer(client, drafts, { send, edit, typed, newestOwn, enterSends, notify }) {
  const form = document.querySelector(".composer");
  const field = form.querySelector("textarea");
  const counter = form.querySelector(".counter");
  const pace = form.querySelector(".pace");
  const banner = form.querySelector(".editing");
  const button = form.querySelector(".send");
  const glass = matchMedia("(pointer: coarse)");
  // By room: the edit that was begun there, which stays until the server has it or its author gives it up.
  const edits = new Map();
  let room = null;
  let writtenAt = -Infinity;

  const limit = () => client.state.limits.body_chars ?? Infinity;
  const length = () => [...field.value].length;
  const isOver = () => length() > limit();

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("input", () => {
    writtenAt = Date.now();
    changed();
    if (!edits.has(room) && field.value.trim() !== "") typed(room);
  });
  field.addEventListener("paste", () => setTimeout(() => isOver() && notify(counter.textContent, "status")));
  field.addEventListener("keydown", (event) => {
    if (composes(event)) return;
    if (sends(event, enterSends() && !glass.matches)) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && !event.altKey && field.value === "" && !edits.has(room)) {
      const message = newestOwn();
      if (!message) return;
      event.preventDefault();
      beginEdit(message);
    } else if (event.key === "Escape" && edits.has(room)) {
      event.preventDefault();
      endEdit();
    }
  });
  banner.querySelector(".cancel").addEventListener("click", () => {
    endEdit();
    field.focus();
  });
  // What was written or sent in another tab, unless one is writing here: then that will be the draft in all of them.
  drafts.onchange((changedRoom) => {
    if (changedRoom !== room || edits.has(room) || Date.now() - writtenAt < PONDERS) return;
    put(drafts.get(room));
  });

  function submit() {
    const body = field.value;
    if (body.trim() === "" || field.readOnly) return;
    if (isOver()) return notify(text("error.too_long_by", { count: length() - limit() }), "status");
    if (edits.has(room)) {
      saveEdit(room, edits.get(room), body);
    } else {
      put("");
      writtenAt = -Infinity;
      send(room, body);
    }
    field.focus();
  }

  // No outbox keeps an edit: until the server has it, the words are only here. Whoever types on meanwhile keeps the editor,
  // and whoever goes to another room finds it when they come back.
  async function saveEdit(where, begun, body) {
    const saved = body === begun.before || (await edit(where, begun.seq, body));
    if (!saved || edits.get(where) !== begun || begun.words !== body) return;
    if (where === room) endEdit();
    else edits.delete(where);
  }

  function put(value) {
    field.value = value;
    changed();
  }

  function changed() {
    const begun = edits.get(room);
    if (begun) begun.words = field.value;
    else if (room !== null) drafts.set(room, field.value);
    field.parentElement.dataset.words = field.value;
    form.classList.toggle("has-words", field.value.trim() !== "");
    count();
  }

  function count() {
    const left = limit() - length();
    counter.hidden = left > limit() * (1 - COUNTED_FROM) || limit() === Infinity;
    if (!counter.hidden) counter.textContent = left < 0 ? text("over", { count: -left }) : text("left", { count: left });
    counter.classList.toggle("over", left < 0);
    field.ariaInvalid = left < 0 ? "true" : null;
    button.ariaDisabled = left < 0 || field.readOnly || field.value.trim() === "" ? "true" : null;
  }

  function beginEdit({ seq, body }) {
    edits.set(room, { seq, words: body, before: body });
    present();
    field.focus();
  }

  function endEdit() {
    edits.delete(room);
    present();
  }

  function present() {
    banner.hidden = !edits.has(room);
    put(edits.get(room)?.words ?? drafts.get(room));
  }

  /** What stands in the empty field, and which key sends: as was chosen, except on glass, where Enter has no Shift beside it. */
  function invite(name, why) {
    const byEnter = enterSends() && !glass.matches;
    const words = why || text(byEnter || glass.matches ? "message.to" : "message.to.ctrl", { name });
    if (field.placeholder !== words) field.placeholder = words;
    if (field.ariaLabel !== text("message.to", { name })) field.ariaLabel = text("message.to", { name });
    field.enterKeyHint = byEnter ? "send" : "enter";
  }

  return {
    beginEdit,
    enter(entered) {
      room = entered;
      writtenAt = -Infinity;
      present();
      // On a phone, focus would raise the keyboard over what one came to read.
      if (!glass.matches) field.focus({ preventScroll: true });
    },
    /** What the room is called; `why` nobody may write here, or nothing; and when one may write next, in ms, or 0. The words that are there can still be copied. */
    render(name, why, next) {
      field.readOnly = Boolean(why);
      countDown(pace, next, (left) => text("pace", { time: waitWords(left) }));
      invite(name, why);
      count();
    },
  };
}
