// Tells of news while nobody looks: on this device, if somebody has asked for it here. The browser asks them only after their click.

import { attention } from "./attention.js";
import { news } from "./news.js";
import { unread } from "./reducer.js";
import { nameOf } from "./rooms.js";
import { text } from "./text.js";

const SHOWN_CHARS = 200;

/**
 * `choices` remembers, `choose(room)` goes to a room. `arrived(room, messages)` tells of them, `render()` takes back what has been read
 * meanwhile, `looked()` is to be called when the page is seen or hidden; the others are for the settings.
 */
export function notifications(client, choices, { choose }) {
  const standing = new Map(); // by room, what is on show
  const isPossible = "Notification" in globalThis && Boolean(navigator.locks);
  const tabs = isPossible ? attention(navigator.locks, `roost ${client.state.me}`, () => !document.hidden) : null;
  let isRefused = false; // some browsers of phones know the word, and show none of a page

  return { arrived, render, looked: () => tabs?.changed(), state, turn, showsWords, showWords };

  /** on · off · denied (by the person, in the browser) · insecure (a page over plain HTTP) · unsupported */
  function state() {
    if (!isSecureContext) return "insecure";
    if (!isPossible || isRefused) return "unsupported";
    if (Notification.permission === "denied") return "denied";
    return Notification.permission === "granted" && choices.get("notifications") === "on" ? "on" : "off";
  }

  /** On a click. What is on says so at once, in the way that it will. */
  async function turn(on) {
    choices.set("notifications", on ? "on" : "");
    if (!on) return closeAll();
    await Notification.requestPermission();
    if (state() === "on") show("", text("notification.on"), text("notification.on.how"));
  }

  function showsWords() {
    return choices.get("notification words") !== "hidden";
  }

  function showWords(shown) {
    choices.set("notification words", shown ? "" : "hidden");
  }

  async function arrived(id, messages) {
    const told = state() === "on" ? news(client.state, id, messages) : null;
    if (!told || !(await tabs.maySpeak())) return;
    const { room, count, message } = told;
    const title = count > 1 ? text("notification.title", { name: nameOf(room), count }) : nameOf(room);
    show(id, title, showsWords() ? words(room, message) : text("unread", { count }));
  }

  function words({ kind }, { sender, body }) {
    const said = [...body].slice(0, SHOWN_CHARS).join("");
    return kind === "direct" || sender === null ? said : `${sender}: ${said}`;
  }

  // One per room: a newer one takes the place of the older.
  function show(id, title, body) {
    const icon = document.querySelector("link[rel=icon]")?.href;
    try {
      const notification = new Notification(title, { body, icon, tag: `roost ${id}`, renotify: true });
      standing.set(id, notification);
      notification.addEventListener("click", () => {
        focus();
        if (id) choose(id);
        notification.close();
      });
      notification.addEventListener("close", () => standing.get(id) === notification && standing.delete(id));
    } catch {
      isRefused = true;
    }
  }

  function render() {
    for (const [id, notification] of standing) {
      const room = client.state.rooms.get(id);
      if (id && (!room || unread(room) === 0)) notification.close();
    }
  }

  function closeAll() {
    for (const notification of standing.values()) notification.close();
  }
}
