// Which of one person's tabs may speak up: one alone, and none while they look at another. By locks, which end with their tab however it ends.

/**
 * `locks` is navigator.locks, `name` is common to the person's tabs, and `looks()` tells whether this one is seen.
 * Gives back `changed()`, to be called when that changes, and `maySpeak()`, which resolves with whether it is this tab's to tell news.
 */
export function attention(locks, name, looks) {
  const eyes = `${name} eyes`;
  let speaks = false;
  let close = null; // lets go of what says that this tab is looked at

  // For as long as the tab lives; the others wait for their turn.
  locks.request(`${name} voice`, () => {
    speaks = true;
    return new Promise(() => {});
  });
  changed();
  return { changed, maySpeak };

  function changed() {
    if (looks() && !close) {
      const closed = new Promise((resolve) => (close = resolve));
      locks.request(eyes, { mode: "shared" }, () => closed);
    } else if (!looks() && close) {
      close();
      close = null;
    }
  }

  async function maySpeak() {
    if (!speaks || looks()) return false;
    const { held } = await locks.query();
    return !looks() && !held.some((lock) => lock.name === eyes);
  }
}
