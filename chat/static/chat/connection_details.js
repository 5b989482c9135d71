// The drawer that tells how the connection does, for a person who asks for help and for whoever helps them.

import { clone, show, write } from "./rows.js";
import { exactTime, text } from "./text.js";

const PING_EVERY = 3_000;

/** Gives back `open()`. */
export function connectionDetails(client) {
  const dialog = document.querySelector(".connection-dialog");
  const list = dialog.querySelector(".facts");
  const copy = dialog.querySelector(".copy");
  const invitation = copy.textContent;
  let timer;

  copy.addEventListener("click", copyAll);
  dialog.addEventListener("close", () => clearInterval(timer));
  return open;

  function open() {
    if (dialog.open) return;
    write(copy, invitation);
    render();
    dialog.showModal();
    measure();
    timer = setInterval(measure, PING_EVERY);
  }

  // Only while somebody looks: nobody else needs to know.
  async function measure() {
    if (client.status.state === "live") await client.ping().catch(() => {});
    render();
  }

  function render() {
    const items = facts().map(([key, words]) => ({ key, words }));
    show(list, items, () => clone("fact-row"), (element, { key, words }) => {
      write(element.querySelector("dt"), text(`fact.${key}`));
      write(element.querySelector("dd"), words);
    });
  }

  function facts() {
    const { since, latency, returns, lastEnd, worker } = client.log;
    return [
      ["state", text(`fact.state.${client.status.state}`)],
      since !== null && ["since", exactTime(since)],
      latency !== undefined && ["latency", text("fact.latency.ms", { count: latency })],
      ["returns", text("fact.returns.times", { count: returns })],
      ["last_end", lastEnd ? ended(lastEnd) : text("fact.last_end.none")],
      worker !== undefined && ["worker", worker],
      ["user", client.state.me],
      ["server", location.host],
      ["browser", navigator.userAgent],
    ].filter(Boolean);
  }

  async function copyAll() {
    const lines = [...list.children].map((row) => [...row.children].map(({ textContent }) => textContent).join(": "));
    try {
      await navigator.clipboard.writeText(lines.join("\n"));
      write(copy, text("copied"));
    } catch {
      // Pages over plain HTTP have no clipboard.
      getSelection().selectAllChildren(list);
      write(copy, text("copy.by_hand"));
    }
  }
}

const ended = ({ code, reason, at }) => [`${code}${reason ? ` (${reason})` : ""}`, exactTime(at)].join(", ");
