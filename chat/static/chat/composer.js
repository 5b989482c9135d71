// Where one writes: grows with its text, keeps a draft per room, sends on Enter, and edits what was sent.

import { text } from "./text.js";

const COUNTED_FROM = 0.9;

/**
 * `send(body)`, `edit(room, seq, body)` (resolves with whether the server took it), `typed()` (while one writes something new) and
 * `newestOwn()` (a message to edit, or nothing) belong to the room that was given to `enter`.
 */
export function composer(client, drafts, { send, edit, typed, newestOwn }) {
  const form = document.querySelector(".composer");
  const field = form.querySelector("textarea");
  const counter = form.querySelector(".counter");
  const banner = form.querySelector(".editing");
  // By room: the edit that was begun there, which stays until the server has it or its author gives it up.
  const edits = new Map();
  let room = null;
  let invitation = "";

  const limit = () => client.state.limits.body_chars ?? Infinity;
  const length = () => [...field.value].length;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("input", () => {
    changed();
    if (!edits.has(room) && field.value.trim() !== "") typed();
  });
  field.addEventListener("keydown", (event) => {
    // Enter that ends a composition (Chinese, Japanese, Korean) chooses a word. Safari ends the composition before the key: 229.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) {
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

  function submit() {
    const body = field.value;
    if (body.trim() === "" || length() > limit()) return;
    if (edits.has(room)) {
      saveEdit(room, edits.get(room), body);
    } else {
      put("");
      send(body);
    }
    field.focus();
  }

  // No outbox keeps an edit: until the server has it, the words are only here. Whoever types on meanwhile keeps the editor,
  // and whoever goes to another room finds it when they come back.
  async function saveEdit(where, begun, body) {
    const saved = await edit(where, begun.seq, body);
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
    form.classList.toggle("is-empty", field.value.trim() === "");
    const left = limit() - length();
    counter.hidden = left > limit() * (1 - COUNTED_FROM) || limit() === Infinity;
    counter.textContent = left < 0 ? text("over", { count: -left }) : text("left", { count: left });
    counter.classList.toggle("over", left < 0);
  }

  function beginEdit({ seq, body }) {
    edits.set(room, { seq, words: body });
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

  return {
    beginEdit,
    /** `why` stands in place of the invitation to write. */
    disable(disabled, why = "") {
      field.disabled = form.querySelector(".send").disabled = disabled;
      if (field.placeholder !== (why || invitation)) field.placeholder = why || invitation;
    },
    enter(entered, name) {
      room = entered;
      present();
      invitation = field.placeholder = text("message.to", { name });
      field.setAttribute("aria-label", invitation);
      // On a phone, focus would raise the keyboard over what one came to read.
      if (matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
    },
  };
}
