// The dialog with what this browser is to remember, and with the keys.

const SYSTEM = "system";

/** `choices` remembers. Gives back `open()`. */
export function settings(choices) {
  const dialog = document.querySelector(".settings-dialog");
  const { theme } = dialog.querySelector("form").elements;

  theme.value = choices.get("theme") || SYSTEM;
  for (const choice of theme) choice.addEventListener("change", () => wear(choice.value));
  document.querySelector(".rail-foot .settings").addEventListener("click", open);
  return open;

  function open() {
    if (!dialog.open) dialog.showModal();
  }

  // theme.js does the same on the next page, from the same place.
  function wear(name) {
    choices.set("theme", name === SYSTEM ? "" : name);
    if (name === SYSTEM) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
  }
}
