// What a key means to whoever writes. It knows no field and no page.

/**
 * Whether this key belongs to a composition (Chinese, Japanese, Korean), where Enter chooses a word and arrows walk among them.
 * Safari ends the composition before the key that does so: there only its code, 229, tells.
 */
export const composes = ({ isComposing, keyCode }) => isComposing || keyCode === 229;

/** Whether this key sends what is written: always with Ctrl or ⌘, alone if that was chosen. */
export function sends(event, enterSends) {
  if (event.key !== "Enter" || composes(event) || event.shiftKey || event.altKey) return false;
  return Boolean(enterSends || event.ctrlKey || event.metaKey);
}
