// Where one writes: grows with its text, keeps a draft per room, sends on Enter, and edits what was sent.

import { text } from "./text.js";

const COUNTED_FROM = 0.9;

/**
 * `send(body)`, `edit(seq, body)` (resolves with whether the server took it) and `newestOwn()` (a message to edit, or nothing)
 * belong to the room that was given to `enter`.
 */
export function composer(client, drafts, { send, edit, newestOwn }) {
  const form = document.querySelector(".composer");
  const field = form.querySelector("textarea");
  const counter = form.querySelector(".counter");
  const banner = form.querySelector(".editing");
  let room = null;
  let editing = null;

  const limit = () => client.state.limits.body_chars ?? Infinity;
  const length = () => [...field.value].length;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("input", changed);
  field.addEventListener("keydown", (event) => {
    // Enter that ends a composition (Chinese, Japanese, Korean) chooses a word. Safari ends the composition before the key: 229.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && field.value === "" && !editing) {
      const message = newestOwn();
      if (!message) return;
      event.preventDefault();
      beginEdit(message);
    } else if (event.key === "Escape" && editing) {
      endEdit();
    }
  });
  banner.querySelector(".cancel").addEventListener("click", endEdit);

  function submit() {
    const body = field.value;
    if (body.trim() === "" || length() > limit()) return;
    if (editing) {
      saveEdit(editing, body);
    } else {
      put("");
      send(body);
    }
    field.focus();
  }

  // No outbox keeps an edit: until the server has it, the words are only here. Whoever types on meanwhile keeps the editor.
  async function saveEdit(message, body) {
    const saved = await edit(message.seq, body);
    if (saved && editing === message && field.value === body) endEdit();
  }

  function put(value) {
    field.value = value;
    changed();
  }

  function changed() {
    if (!editing && room !== null) drafts.set(room, field.value);
    // While the field is measured at its smallest, the log must not grow: it would lose its place with every key.
    form.style.minBlockSize = `${form.offsetHeight}px`;
    field.style.blockSize = "auto";
    field.style.blockSize = `${field.scrollHeight + 2}px`;
    form.style.minBlockSize = "";
    const left = limit() - length();
    counter.hidden = left > limit() * (1 - COUNTED_FROM) || limit() === Infinity;
    counter.textContent = left < 0 ? text("over", { count: -left }) : text("left", { count: left });
    counter.classList.toggle("over", left < 0);
  }

  function beginEdit(message) {
    editing = message;
    banner.hidden = false;
    put(message.body);
    field.focus();
  }

  function endEdit() {
    editing = null;
    banner.hidden = true;
    put(room === null ? "" : drafts.get(room));
  }

  return {
    beginEdit,
    disable(disabled) {
      field.disabled = form.querySelector(".send").disabled = disabled;
    },
    enter(entered, name) {
      room = entered;
      endEdit();
      field.placeholder = text("message.to", { name });
      field.setAttribute("aria-label", field.placeholder);
      // On a phone, focus would raise the keyboard over what one came to read.
      if (matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
    },
  };
}
