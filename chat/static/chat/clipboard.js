// Puts words on the clipboard.

/** Answers whether it could. A page without a secure context (plain http in a local network) has only the old way. */
export async function copy(words) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    return copySelected(words);
  }
}

function copySelected(words) {
  const before = document.activeElement;
  const field = Object.assign(document.createElement("textarea"), { value: words, className: "visually-hidden", readOnly: true });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  before?.focus({ preventScroll: true });
  return copied;
}
