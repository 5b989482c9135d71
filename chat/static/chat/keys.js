// What the keyboard does wherever one is on the page; a dialog has the keys for itself.

import { composes } from "./keystroke.js";

/** `step(-1 | 1)` goes to the room above or below, `find()` asks which, `help()` shows all of these, `readAll()` marks the room as read. */
export function keys({ step, find, help, readAll }) {
  // In a field of a form it would send the form: Safari takes the Enter that ends a composition for one that does.
  addEventListener("keydown", (event) => event.key === "Enter" && composes(event) && event.target.matches("input") && event.preventDefault());
  addEventListener("keydown", (event) => {
    if (composes(event) || event.defaultPrevented || document.querySelector("dialog:modal")) return;
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
