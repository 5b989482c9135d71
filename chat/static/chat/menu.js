// A menu: a dialog with a list of buttons, each of which names what it does in `data-act`.

/** Shows those of its buttons whose act is true in `offered`. */
export function offer(menu, offered) {
  for (const button of menu.querySelectorAll("[data-act]")) button.parentElement.hidden = !offered[button.dataset.act];
}

/** Lets arrows walk through what it offers, whose ends meet. */
export function walkWithArrows(menu) {
  menu.addEventListener("keydown", (event) => {
    const buttons = [...menu.querySelectorAll("li:not([hidden]) button")];
    const place = buttons.indexOf(document.activeElement);
    const next = { ArrowUp: Math.max(place, 0) - 1, ArrowDown: place + 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    buttons.at(next % buttons.length).focus();
  });
}
