// A field that completes usernames with those that the server finds, and holds whom one has chosen.

import { composes } from "./keystroke.js";
import { clone, paintAvatar, show, write } from "./rows.js";
import { reason, text } from "./text.js";

/**
 * `isOffered(user)` leaves out whom it makes no sense to choose. With `onpick(user)` the first choice is all there is to it; without,
 * many are held. Gives back `users()`, what is still being typed included, and `clear()`.
 */
export function peopleField(element, client, { isOffered = () => true, onpick }) {
  const field = element.querySelector("input");
  const list = element.querySelector(".found");
  const none = element.querySelector(".none");
  const chips = element.querySelector(".chips");
  const search = client.search(({ users }, query) => offer(users, query), (error) => write(none, reason(error)));
  let chosen = [];
  let offered = [];
  let answered = ""; // the query that `offered` answers
  let at = -1; // the offer that Enter takes; none before anything is typed, when Enter sends the form

  field.addEventListener("input", () => search.for(typed()));
  field.addEventListener("keydown", (event) => {
    if (composes(event)) return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step && offered.length > 0) {
      event.preventDefault();
      at = (Math.max(at, step < 0 ? 0 : -1) + step + offered.length) % offered.length;
      render();
    } else if (event.key === "Enter" && (typed() !== "" || at >= 0)) {
      event.preventDefault();
      pick(typed() === answered ? offered[at] : typed());
    } else if (event.key === "Backspace" && field.value === "") {
      drop(chosen.at(-1));
    }
  });
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".found-row");
    if (row) pick(row.dataset.key);
  });
  chips?.addEventListener("click", (event) => {
    const chip = event.target.closest("button");
    if (chip) drop(chip.parentElement.dataset.key);
  });

  return {
    users: () => (typed() === "" ? chosen : [...chosen, typed()]),
    clear() {
      chosen = [];
      reset();
    },
  };

  function typed() {
    return field.value.trim();
  }

  function offer(users, query) {
    offered = users.filter((user) => isOffered(user) && !chosen.includes(user));
    answered = query;
    at = query === "" ? -1 : 0;
    write(none, offered.length === 0 ? text("people.none") : "");
    render();
  }

  function pick(user) {
    if (user === undefined) return;
    if (onpick) return onpick(user);
    chosen = [...chosen.filter((other) => other !== user), user];
    reset();
    field.focus();
  }

  function drop(user) {
    chosen = chosen.filter((other) => other !== user);
    reset();
    field.focus();
  }

  function reset() {
    field.value = "";
    offered = offered.filter((user) => !chosen.includes(user));
    at = -1;
    search.for("");
    write(none, "");
    render();
  }

  function render() {
    show(list, offered.map((user) => ({ key: user })), () => clone("found-row"), fillOffered);
    if (chips) show(chips, chosen.map((user) => ({ key: user })), () => clone("chip"), fillChip);
    field.setAttribute("aria-activedescendant", list.children[at]?.id ?? "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function fillOffered(row, { key: user }) {
    row.id = `${field.id}-${user}`;
    row.ariaSelected = String(offered[at] === user);
    row.querySelector(".sigil").hidden = row.querySelector(".badge").hidden = true;
    paintAvatar(row.querySelector(".avatar"), user);
    write(row.querySelector(".name"), user);
  }

  function fillChip(chip, { key: user }) {
    write(chip.querySelector(".name"), user);
    chip.querySelector("button").ariaLabel = text("people.drop", { name: user });
  }
}
