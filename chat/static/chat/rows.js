// Makes elements from the page's templates and keeps a list's children in step with rows of data.

import { initials } from "./names.js";

export const clone = (template) => document.getElementById(template).content.firstElementChild.cloneNode(true);

/** Writes only what differs: selections, focus and live regions stay undisturbed. */
export function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** Writes a sentence in which each of these names, as they come in it, leads to its person. */
export function writeNaming(element, sentence, names) {
  if (element.textContent === sentence) return;
  element.replaceChildren();
  let rest = sentence;
  for (const name of names) {
    const [before, ...after] = rest.split(name);
    if (after.length === 0) continue;
    const named = Object.assign(document.createElement("span"), { textContent: name });
    named.dataset.person = name;
    element.append(before, named);
    rest = after.join(name);
  }
  element.append(rest);
}

/**
 * Makes the children of `list` show `items`, by their `key`: `create(item)` makes an element, `update(element, item)` fills it.
 * An element whose item is still there stays the same element.
 */
export function show(list, items, create, update) {
  const keys = new Set(items.map(({ key }) => key));
  const elements = new Map();
  for (const element of [...list.children]) {
    if (keys.has(element.dataset.key)) elements.set(element.dataset.key, element);
    else element.remove();
  }
  let place = list.firstElementChild;
  for (const item of items) {
    const element = elements.get(item.key) ?? create(item);
    element.dataset.key = item.key;
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
  }
}

/** Up to two letters for somebody without a picture, on a tint that is always the same for the name. */
export function paintAvatar(element, name) {
  write(element, initials(name));
  element.dataset.tint = [...name].reduce((sum, letter) => (sum * 33 + letter.codePointAt(0)) % 1009, 5) % 8;
}

/** Full for who is here, a ring for who is not; none where it is not known. */
export function paintDot(element, presence) {
  element.hidden = !presence;
  element.classList.toggle("is-online", Boolean(presence?.online));
}
