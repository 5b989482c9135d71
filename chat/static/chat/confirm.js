// Asks before what cannot be taken back with one press.

import { write } from "./rows.js";

/** `confirm({title, words, act})`, where `act` is on the button that goes ahead, resolves with whether one does. */
export function confirmation() {
  const dialog = document.querySelector(".confirm-dialog");

  return ({ title, words, act }) =>
    new Promise((resolve) => {
      write(dialog.querySelector("h2"), title);
      write(dialog.querySelector("p"), words);
      write(dialog.querySelector(".danger"), act);
      dialog.returnValue = "";
      dialog.onclose = () => resolve(dialog.returnValue === "yes");
      dialog.showModal();
    });
}
