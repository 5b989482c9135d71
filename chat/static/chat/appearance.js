// What the page wears. The server has dressed it before anything was painted; this is for who changes their mind.

/** `theme`: light, dark, or nothing for the system's. The browser's own bars go along. */
export function wear(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  for (const meta of document.querySelectorAll("meta[name=theme-color]")) {
    const { scheme } = meta.dataset;
    meta.media = theme ? (theme === scheme ? "all" : "not all") : `(prefers-color-scheme: ${scheme})`;
  }
}
