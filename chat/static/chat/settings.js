// The dialog with what one prefers, on every device and on this one.

import { DEFAULTS } from "./preferences.js";
import { write } from "./rows.js";
import { reason, text } from "./text.js";

/** `explain()` shows the connection's details, `help()` the keys, `saved()` hears when the server has what was chosen. Gives back `open()` and `render()`. */
export function settings(preferences, notifications, { explain, help, saved }) {
  const dialog = document.querySelector(".settings-dialog");
  const { elements } = dialog.querySelector("form");
  const outcome = dialog.querySelector(".outcome");

  dialog.querySelector(".explain").addEventListener("click", () => leaveFor(explain));
  dialog.querySelector(".keyboard").addEventListener("click", () => leaveFor(help));
  dialog.addEventListener("change", ({ target }) => (target.name in DEFAULTS ? choose(target) : chooseHere(target)));
  return { open, render };

  function open() {
    write(outcome, preferences.isPending ? text("preferences.later") : "");
    render();
    if (!dialog.open) dialog.showModal();
  }

  function leaveFor(show) {
    dialog.close();
    show();
  }

  function render() {
    for (const [name, value] of Object.entries(preferences.all)) put(elements[name], value);
    const state = notifications.state();
    put(elements.notifications, state === "on");
    put(elements.words, notifications.showsWords());
    elements.notifications.disabled = !["on", "off"].includes(state);
    elements.words.disabled = state !== "on";
    write(dialog.querySelector("#notifications-state"), text(`notifications.${state}`));
  }

  async function choose({ name, type, checked, value }) {
    write(outcome, ""); // what it said was of an earlier choice
    try {
      const isSaved = await preferences.choose({ [name]: type === "checkbox" ? checked : value });
      if (isSaved && preferences.isPending) return; // so is this by now
      write(outcome, text(isSaved ? "preferences.saved" : "preferences.later"));
      if (isSaved) saved();
    } catch (error) {
      write(outcome, reason(error));
      render();
    }
  }

  async function chooseHere({ name, checked }) {
    if (name === "notifications") await notifications.turn(checked);
    if (name === "words") notifications.showWords(checked);
    render();
  }
}

function put(field, value) {
  if (field instanceof RadioNodeList) for (const choice of field) choice.checked = choice.value === value;
  else field.checked = value;
}
