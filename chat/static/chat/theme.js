// Runs before anything is painted, so that the theme that was chosen in the settings never flashes. Without a choice it is the system's.
try {
  const theme = localStorage.getItem("roost theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // A browser that stores nothing has no choice to remember.
}
