// What to tell somebody whose connection is gone, and what they can do about it: (status, since when, now) → words and a way out.

import { isBanned } from "./connection.js";

const SILENT_FOR = 5_000;
const FOR_GOOD = 10 * 365 * 86_400_000;
const COMES_BACK = { 4000: "failing", 4002: "slow", 4008: "hasty", 4010: "disconnected", 4012: "restarting" };
const STAYS_AWAY = { 4503: "kicked", 4510: "crowded" };

/** Whether it does not come back by itself. */
export const isFinal = ({ state }) => state === "logged_out" || state === "stopped";

/**
 * {key, count, until, act} or null while there is nothing to tell. `act`: retry · return (after a kick) · reload · log_in, or null where one can only wait.
 * `count` is in seconds, `until` in ms.
 * `lostAt` is when it was last live, in ms: most outages end before anybody has to know of them.
 */
export function outage(status, lostAt, now) {
  const { state, code, until } = status;
  if (state === "live" || (!isFinal(status) && now - lostAt < SILENT_FOR)) return null;
  const count = Math.max(1, Math.ceil((until - now) / 1000));
  const say = (name, act) => ({ key: `connection.${name}`, count, until, act });
  switch (state) {
    case "connecting":
      return say(code === 4012 ? "coming_back" : "connecting", null);
    case "offline":
      return say("offline", "retry");
    case "waiting":
      return say(COMES_BACK[code] ?? "waiting", "retry");
    case "logged_out":
      return say("logged_out", "log_in");
    default:
      if (isBanned(status, now)) return say(until - now > FOR_GOOD ? "banned_for_good" : "banned", null);
      if (code === 4503 && until !== undefined) return say("ban_over", "return");
      return say(STAYS_AWAY[code] ?? "stopped", { 4503: "return", 4510: "retry" }[code] ?? "reload");
  }
}
