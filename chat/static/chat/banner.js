// Says how the connection is: in a bar after five seconds without one, and in a status line for those who listen.

import { outage } from "./outage.js";
import { unreadInAll } from "./reducer.js";
import { write } from "./rows.js";
import { outageWords, text } from "./text.js";

/** `explain()` shows the connection's details. Gives back `render()`. */
export function banner(client, { explain }) {
  const bar = document.querySelector(".connection");
  const acts = bar.querySelectorAll("[data-act]");
  const logIn = bar.querySelector("[data-act=log_in]");
  const logInPath = logIn.getAttribute("href");
  const spoken = document.querySelector(".status");
  let lostAt = Date.now();
  let missing = false; // what came meanwhile has yet to be summed up
  let said = null; // the key of what was said last

  bar.querySelector("[data-act=retry]").addEventListener("click", () => client.retry());
  bar.querySelector("[data-act=return]").addEventListener("click", () => client.retry());
  bar.querySelector("[data-act=reload]").addEventListener("click", () => location.reload());
  bar.querySelector(".more").addEventListener("click", explain);
  setInterval(render, 1000);
  return render;

  function render() {
    const { state } = client.status;
    if (state === "live") lostAt = null;
    else lostAt ??= Date.now();
    if (state !== "live") missing = true;
    const trouble = outage(client.status, lostAt, Date.now());
    bar.hidden = trouble === null;
    if (trouble) show(trouble, client.status);
    else if (said !== null && state === "live") say("connection.live", text("connection.live"));
    if (!trouble) said = null;
    if (client.synced && missing) caughtUp();
  }

  function show(trouble, { state }) {
    const words = outageWords(trouble);
    write(bar.querySelector(".words"), words);
    for (const act of acts) act.hidden = act.dataset.act !== trouble.act;
    logIn.href = `${logInPath}?next=${encodeURIComponent(location.pathname)}`;
    // The countdown and the tries are for the eye: spoken, they would interrupt every second.
    if (state !== "connecting" || said === null) say(trouble.key, words);
  }

  function say(key, words) {
    if (said !== key) write(spoken, words);
    said = key;
  }

  // The list is silent while it catches up: one sentence says what reading it all out would have.
  function caughtUp() {
    const count = unreadInAll(client.state);
    missing = false;
    if (count > 0) write(spoken, text("caught_up", { count }));
  }
}
