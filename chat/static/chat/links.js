// Finds the addresses in what people write. Only those that open a page or a letter become links: never javascript:, data: and their like.

const ADDRESS = /\b(?:https?:\/\/|mailto:)[^\s<>"“”„«»\u3000-\u303f\uff00-\uffef]+/giu;
const TRAILING = /[.,;:!?'’*_~…]+$/u;
const SAFE = new Set(["http:", "https:", "mailto:"]);

/** The text in parts, in order, each {text} or {text, href}; joined they are the text. */
export function parts(text) {
  const found = [];
  let end = 0;
  for (const { 0: match, index } of text.matchAll(ADDRESS)) {
    const address = trimmed(match);
    if (!isSafe(address)) continue;
    if (index > end) found.push({ text: text.slice(end, index) });
    found.push({ text: address, href: address });
    end = index + address.length;
  }
  if (end < text.length || found.length === 0) found.push({ text: text.slice(end) });
  return found;
}

/** Without what ends the sentence rather than the address; a bracket belongs to it only if it was opened in it. */
function trimmed(address) {
  const shorter = address.replace(TRAILING, "");
  const closes = shorter.endsWith(")") && shorter.split(")").length > shorter.split("(").length;
  if (closes || shorter.endsWith("]")) return trimmed(shorter.slice(0, -1));
  return shorter;
}

function isSafe(address) {
  return URL.canParse(address) && SAFE.has(new URL(address).protocol) && !/:\/*$/.test(address);
}
