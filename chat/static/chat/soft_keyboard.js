// Keeps the composer above a keyboard of glass. Where browsers resize the page for it there is nothing to do; iOS lays it over the page.

/** `page` fills the screen. */
export function stayAbove(page, view = globalThis.visualViewport) {
  if (!view) return;
  const fit = () => {
    const isCovered = view.scale === 1 && view.height < innerHeight - 1;
    page.style.blockSize = isCovered ? `${view.height}px` : "";
    if (isCovered) scrollTo(0, 0);
  };
  view.addEventListener("resize", fit);
  view.addEventListener("scroll", fit);
}
