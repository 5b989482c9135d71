// A dialog with a form: sends it, says why it was refused, and closes once it was taken.

import { write } from "./rows.js";
import { reason } from "./text.js";

/**
 * `submit(fields)` sends what was filled in; what it resolves with, if anything, is done after the dialog has closed and given the focus
 * back; for false, it stays open. Gives back {dialog, form, open(), close()}.
 */
export function formDialog(selector, submit) {
  const dialog = document.querySelector(selector);
  const form = dialog.querySelector("form");
  const error = dialog.querySelector(".error");
  let busy = false;

  dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    write(error, "");
    try {
      const after = await submit(form.elements);
      if (after === false) return;
      dialog.close();
      after?.();
    } catch (refusal) {
      write(error, reason(refusal));
    } finally {
      busy = false;
    }
  });

  return {
    dialog,
    form,
    open() {
      form.reset();
      write(error, "");
      if (!dialog.open) dialog.showModal();
    },
    close: () => dialog.close(),
  };
}

/** Lets a press beside a dialog close it; its own box has to have no padding, which would count as beside. */
export function closesBeside(dialog) {
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
}
