// Says how the connection is: in a bar after five seconds without one, and in a status line for those who listen.

import { isBanned } from "./connection.js";
import { unreadInAll } from "./reducer.js";
import { write } from "./rows.js";
import { text } from "./text.js";

const SILENT_FOR = 5_000;
const PER_CODE = { 4012: "restarting", 4503: "banned", 4510: "crowded" };

/** Gives back `render()`. */
export function banner(client) {
  const bar = document.querySelector(".connection");
  const retry = bar.querySelector(".retry");
  const logIn = bar.querySelector(".log-in");
  const spoken = document.querySelector(".status");
  let lostAt = Date.now();
  let missing = false; // what came meanwhile has yet to be summed up

  retry.addEventListener("click", () => client.retry());
  const logInPath = logIn.getAttribute("href");
  setInterval(render, 1000);
  return render;

  function render() {
    const { state, code, until } = client.status;
    if (state === "live") lostAt = null;
    else lostAt ??= Date.now();
    if (state !== "live") missing = true;
    else if (client.synced && missing) caughtUp();
    const final = state === "logged_out" || state === "stopped";
    const wasHidden = bar.hidden;
    bar.hidden = state === "live" || (!final && Date.now() - lostAt < SILENT_FOR);
    if (bar.hidden && !wasHidden) write(spoken, text("connection.live"));
    if (bar.hidden) return;
    const known = PER_CODE[code];
    const key = state === "waiting" || state === "stopped" ? `connection.${known ?? state}` : `connection.${state}`;
    write(bar.querySelector(".words"), text(key, { count: until ? Math.max(1, Math.ceil((until - Date.now()) / 1000)) : 1 }));
    retry.hidden = state === "connecting" || state === "logged_out" || isBanned(client.status);
    logIn.hidden = state !== "logged_out";
    logIn.href = `${logInPath}?next=${encodeURIComponent(location.pathname)}`;
    // The countdown is for the eye: spoken, it would interrupt every second.
    if (wasHidden) write(spoken, bar.querySelector(".words").textContent);
  }

  // The list is silent while it catches up: one sentence says what reading it all out would have.
  function caughtUp() {
    const count = unreadInAll(client.state);
    missing = false;
    if (count > 0) write(spoken, text("caught_up", { count }));
  }
}
