// The page's entry: makes the client with the browser's own edges, follows the address, and draws what changed once per frame.

import { wear } from "./appearance.js";
import { banner } from "./banner.js";
import { Client } from "./client.js";
import { closure } from "./closure.js";
import { connectionDetails } from "./connection_details.js";
import { details } from "./details.js";
import { keys } from "./keys.js";
import { notifications } from "./notifications.js";
import { Preferences } from "./preferences.js";
import { rail } from "./rail.js";
import { unreadInAll } from "./reducer.js";
import { roomView } from "./room.js";
import { nameOf, neighbour } from "./rooms.js";
import { address, atHome, backToRooms, comeFromRooms, place, visit } from "./route.js";
import { stayAbove } from "./soft_keyboard.js";
import { openDrafts, openMemory, openStorage } from "./storage.js";
import { switcher } from "./switcher.js";
import { reason, text } from "./text.js";

const NOTICE_FOR = 8_000;
const ONE_PANE = "(width < 720px)";

const config = JSON.parse(document.getElementById("config").textContent);
const page = document.querySelector(".chat");

function connect(protocol) {
  const url = new URL(config.ws_path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return new WebSocket(url, protocol);
}

const client = new Client({
  me: config.username,
  storage: await openStorage(config.username),
  memory: openMemory("roost deletions"),
  connect,
  clock: {
    now: () => Date.now(),
    setTimeout: (callback, ms) => setTimeout(callback, ms),
    clearTimeout: (timer) => clearTimeout(timer),
  },
  online: () => navigator.onLine,
  onchange: drawSoon,
  onleft: (room) => notify(text("room.left", { name: nameOf(room) })),
  onfailed: (item) => notify(text("failed", { why: reason(item) })),
  onstranger: () => location.replace(address(null)),
  onrefused: (error) => notify(text("deletion.refused", { why: reason(error) })),
  onpreferences: hearPreferences,
  onnews: (id, messages) => notices.arrived(id, messages),
});

const preferences = new Preferences({
  saved: config.preferences,
  remembered: config.remembered,
  memory: openMemory(`roost ${config.username}`),
  tell: (changes) => client.prefer(changes),
  onchange: ({ theme }) => {
    wear(theme);
    settings?.render();
    drawSoon();
  },
});
const language = preferences.saved("language"); // that the page was made in
if (preferences.isPending) wear(preferences.get("theme"));
const drafts = openDrafts(config.username);
const choices = openMemory("roost");
const room = roomView(client, drafts, {
  notify,
  address,
  visit: go,
  redraw: drawSoon,
  report: (_, message) => ask("report", message),
  enterSends: () => preferences.get("enter_sends"),
});
const drawRail = rail(client, { choose: go, address, isBegun: (id) => drafts.get(id) !== "" || client.state.outbox.some((item) => item.room === id) });
const drawDetails = details(client, choices);
const drawClosure = closure(client, { notify });
const notices = notifications(client, choices, { choose: go });
const explain = connectionDetails(client);
const drawBanner = banner(client, { explain });
const help = () => document.querySelector(".keys-dialog").showModal();

keys({
  step: (by) => walk(by),
  find: switcher(client, { choose: go }),
  help,
  readAll: () => room.readAll(),
});

let settings; // as soon as somebody has asked for them
let current = null;
let dialogs = null;
let drawing = false;
let badge = 0; // what the page's icon says, where it was installed as an app
let noticeEnds;

// Nothing is painted in a hidden page, and so no animation frame comes: but its title must still tell what is new.
function drawSoon() {
  if (drawing) return;
  drawing = true;
  schedule();
}

function schedule() {
  if (document.hidden) setTimeout(draw, 100);
  else requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  if (current === null && client.synced && !matchMedia(ONE_PANE).matches) openFirst();
  drawBanner();
  drawRail(current);
  room.render();
  drawClosure(client.state.rooms.get(current));
  drawDetails(current);
  dialogs?.render(current);
  drawTitle();
  notices.render();
}

function drawTitle() {
  const shown = client.state.rooms.get(current);
  const count = unreadInAll(client.state);
  document.title = `${count > 0 ? `(${count}) ` : ""}${shown ? nameOf(shown) : "Roost"}`;
  if (count === badge) return;
  badge = count;
  navigator.setAppBadge?.(count).catch(() => {});
}

async function openSettings() {
  const loaded = await fetched(import("./settings.js"));
  if (!loaded) return;
  settings ??= loaded.settings(preferences, notices, { explain, help, saved: speakAnew });
  settings.open();
}

/** Opens one of the dialogs that come after the page. Whoever asks twice while they load gets them once. */
async function ask(name, ...about) {
  const loaded = await fetched(loadDialogs());
  if (!loaded) return;
  dialogs ??= loaded.dialogs(client, { choose: go, notify });
  dialogs.render(current);
  dialogs[name](...about);
}

/** Their modules, with their style sheet in force. */
async function loadDialogs() {
  const [loaded] = await Promise.all([import("./dialogs.js"), dressed()]);
  return loaded;
}

function dressed() {
  const style = document.getElementById("asked-style");
  style.disabled = false;
  return style.sheet ?? new Promise((resolve) => ["load", "error"].forEach((end) => style.addEventListener(end, resolve, { once: true })));
}

/** What was asked for; nothing without a network, which is said. */
async function fetched(loading) {
  try {
    return await loading;
  } catch {
    notify(text("error.disconnected"));
    return undefined;
  }
}

function walk(by) {
  const id = neighbour(client.state.rooms.values(), current, by);
  if (id !== undefined) go(id);
}

/** Where there is space for rail and room, the room that concerns everyone is on show until one chooses. */
function openFirst() {
  const rooms = [...client.state.rooms.values()];
  const first = rooms.find(({ kind }) => kind === "everyone") ?? rooms[0];
  if (first) enter(first.room, null);
}

function enter(id, seq) {
  current = id;
  page.dataset.pane = id === null || atHome() ? "rooms" : "room";
  room.enter(id, seq);
  drawSoon();
}

function go(id, seq) {
  visit(id, seq);
  follow();
}

function follow() {
  const { room, seq } = place();
  enter(room, seq);
}

async function hearPreferences(frame) {
  preferences.hear(frame);
  const isSaved = preferences.isPending && (await preferences.save().catch((error) => notify(reason(error))));
  if (isSaved) speakAnew();
  // Chosen on another device: nobody is to lose the page under their hands.
  else if (document.hidden) speakAnew();
}

/** The page's words are made by the server. Drafts and the address stay. */
function speakAnew() {
  if (config.preferences && preferences.saved("language") !== language) location.reload();
}

/** Said aloud at once; what has merely been done, as a "status", when there is a pause. */
function notify(words, role = "alert") {
  const notice = document.querySelector(".notice");
  clearTimeout(noticeEnds);
  notice.role = role;
  notice.textContent = words;
  notice.hidden = false;
  noticeEnds = setTimeout(() => (notice.hidden = true), NOTICE_FOR);
}

document.querySelector(".rail-foot .settings").addEventListener("click", openSettings);
document.querySelector(".back").addEventListener("click", (event) => {
  event.preventDefault();
  if (!backToRooms()) follow();
});
document.addEventListener("visibilitychange", () => {
  notices.looked();
  if (document.hidden && drawing) schedule(); // the frame that was asked for is not to come
  if (document.hidden) return speakAnew();
  client.wake();
  drawSoon();
});
addEventListener("pagehide", () => client.leaveBehind());
document.addEventListener("click", ({ target }) => {
  const opener = target.closest("[data-opens]");
  const named = target.closest("[data-person]");
  if (opener) ask(opener.dataset.opens);
  else if (named) ask("person", named.dataset.person, named.dataset.role);
});
// What one types into a dialog that is still on its way would be lost: whoever comes near its button has it sooner.
for (const approach of ["pointerover", "pointerdown", "focusin"]) {
  document.addEventListener(approach, ({ target }) => target.closest?.("[data-opens]") && loadDialogs().catch(() => {}), { passive: true });
}
addEventListener("online", () => client.wake());
addEventListener("offline", () => client.wake()); // the sooner it is known, the sooner it is said
addEventListener("pageshow", ({ persisted }) => persisted && client.wake());
addEventListener("popstate", follow);

if (matchMedia(ONE_PANE).matches) comeFromRooms();
stayAbove(page);
follow();
client.start();
