// Finds the addresses in what people write. Only those that open a page or a letter become links: never javascript:, data: and their like.

const END = String.raw`\s<>"“”„«»\u3000-\u303f\uff00-\uffef`;
// Without a scheme almost anything with a dot in it could be meant. So only endings that hardly anything but an address has: none that
// are also words (it, is, me) or those of files (py, md, sh). Names such as ASP.NET are told by their capitals.
const ENDINGS = "com|org|net|edu|gov|info|io|dev|app|blog|wiki|eu|uk|de|fr|nl|ch|es|ru|br|ca|au|cn|tw|hk|jp|kr|中国";
const HOST = String.raw`(?:[a-zA-Z\d](?:[a-zA-Z\d-]*[a-zA-Z\d])?\.)+`;
const PATH = `(?::\\d{1,5})?(?:[/?#][^${END}]*)?`;
const WITH_SCHEME = String.raw`\b(?:[hH][tT][tT][pP][sS]?:\/\/|[mM][aA][iI][lL][tT][oO]:)[^${END}]+`;
const WITHOUT = `(?<![\\w@./:%+~\\\\-])(?:(?<mailbox>[\\w.+-]+@)?(?:${HOST}(?:${ENDINGS})|[wW]ww\\.${HOST}[a-z]{2,})(?![\\w@-]|\\.[\\w-])${PATH})`;
const ADDRESS = new RegExp(`${WITH_SCHEME}|${WITHOUT}`, "gu");
const TRAILING = /[.,;:!?'’*_~…]+$/u;
const SAFE = new Set(["http:", "https:", "mailto:"]);

/** The text in parts, in order, each {text} or {text, href}; joined they are the text. */
export function parts(text) {
  const found = [];
  let end = 0;
  for (const { 0: match, index, groups } of text.matchAll(ADDRESS)) {
    const address = trimmed(match);
    const href = complete(address, groups.mailbox);
    if (!isSafe(href)) continue;
    if (index > end) found.push({ text: text.slice(end, index) });
    found.push({ text: address, href });
    end = index + address.length;
  }
  if (end < text.length || found.length === 0) found.push({ text: text.slice(end) });
  return found;
}

function complete(address, mailbox) {
  if (mailbox) return `mailto:${address}`;
  return /^(https?:\/\/|mailto:)/i.test(address) ? address : `https://${address}`;
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
