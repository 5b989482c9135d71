// The dialog with what somebody prefers, and with the keys.

const SYSTEM = "system";

/** `client` tells the server. Gives back `open()`. */
export function settings(client, preferences) {
  const dialog = document.querySelector(".settings-dialog");
  const { theme } = dialog.querySelector("form").elements;

  theme.value = preferences.theme || SYSTEM;
  for (const choice of theme) choice.addEventListener("change", () => wear(choice.value));
  document.querySelector(".rail-foot .settings").addEventListener("click", open);
  return open;

  function open() {
    if (!dialog.open) dialog.showModal();
  }

  // The server does the same on the next page.
  function wear(name) {
    client.prefer({ theme: name === SYSTEM ? "" : name }).catch(() => {});
    if (name === SYSTEM) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
  }
}
