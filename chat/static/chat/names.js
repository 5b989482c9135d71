// Names as people order them and shorten them, in the language of the page.

import { language } from "./text.js";

const HAN = /^\p{Script=Han}{2,4}$/u;

let collator; // made once: that is slow

/** Compares two names, to sort them: Chinese names go by their sound there, and 10 comes after 9 everywhere. */
export function byName(a, b) {
  collator ??= new Intl.Collator(language(), { numeric: true });
  return collator.compare(a, b);
}

/** Up to two letters; of a Chinese name its last sign, because many share the first. */
export function initials(name) {
  const whole = name.trim();
  if (HAN.test(whole)) return [...whole].at(-1);
  const words = whole.split(/[\s._-]+/);
  return (words.length > 1 ? [words[0], words.at(-1)] : words)
    .map(([...letters]) => letters[0] ?? "")
    .join("")
    .toLocaleUpperCase();
}
