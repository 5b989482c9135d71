// The drawer that tells how the connection does, for a person who asks for help and for whoever helps them.

import { copy } from "./clipboard.js";
import { clone, show, write } from "./rows.js";
import { exactTime, text } from "./text.js";

const PING_EVERY = 3_000;

/** Gives back `open()`. */
export function connectionDetails(client) {
  const dialog = document.querySelector(".connection-dialog");
  const list = dialog.querySelector(".facts");
  const button = dialog.querySelector(".copy");
  const invitation = button.textContent;
  let timer;

  button.addEventListener("click", copyAll);
  dialog.addEventListener("close", () => clearInterval(timer));
  return open;

  function open() {
    if (dialog.open) return;
    write(button, invitation);
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
    const isCopied = await copy(lines.join("\n"));
    write(button, text(isCopied ? "copied" : "copied.not"));
    if (!isCopied) getSelection().selectAllChildren(list);
  }
}

const ended = ({ code, reason, at }) => [`${code}${reason ? ` (${reason})` : ""}`, exactTime(at)].join(", ");
