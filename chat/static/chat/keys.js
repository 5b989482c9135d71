// What the keyboard does wherever one is on the page; a dialog has the keys for itself.

/** `step(-1 | 1)` goes to the room above or below, `find()` asks which, `help()` shows the keys, `readAll()` marks the room as read. */
export function keys({ step, find, help, readAll }) {
  addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.defaultPrevented || document.querySelector("dialog:modal")) return;
    const act = action(event);
    if (!act) return;
    event.preventDefault();
    act();
  });

  function action({ key, altKey, ctrlKey, metaKey, shiftKey }) {
    if (shiftKey) return undefined;
    if ((ctrlKey || metaKey) && !altKey) return { k: find, "/": help }[key];
    if (altKey && !ctrlKey && !metaKey) return { ArrowUp: () => step(-1), ArrowDown: () => step(1) }[key];
    return key === "Escape" ? readAll : undefined;
  }
}
