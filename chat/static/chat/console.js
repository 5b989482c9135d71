// A hand-held WebSocket client: opens, sends and closes as it is told, and shows everything that comes.

import { copy } from "./clipboard.js";
import { compose, examples, ready, roomsIn } from "./dialects.js";
import { clientId } from "./outbox.js";
import { clone, show, write } from "./rows.js";
import { closing, pretty, Transcript } from "./transcript.js";

const STATES = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];
const LOOK_EVERY = 100; // milliseconds; nothing tells how `bufferedAmount` changes
const CLOSE_ENOUGH = 40; // pixels from the bottom

const page = document.querySelector(".console");
const find = (selector) => page.querySelector(selector);
const { connection, message, frame } = document.forms;
const log = find(".entries");
const list = find(".entries ol");
const follow = find("[name=follow]");
const isPretty = find("[name=pretty]");

const transcript = new Transcript();
const known = new Map(); // rooms, by id
let socket = null;
let refs = 0;
let drawing = false;

connection.addEventListener("submit", (event) => {
  event.preventDefault();
  open();
});
connection.elements.close.addEventListener("click", () => attempt(close));
message.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(say);
});
frame.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => send(frame.elements.raw.value));
});
frame.elements.example.addEventListener("change", fillIn);
find(".clear").addEventListener("click", () => {
  transcript.clear();
  drawSoon();
});
find(".copy").addEventListener("click", copyAll);
isPretty.addEventListener("change", () => {
  list.replaceChildren();
  draw();
});
follow.addEventListener("change", draw);
log.addEventListener("scroll", () => (follow.checked = log.scrollHeight - log.scrollTop - log.clientHeight < CLOSE_ENOUGH));

for (const { type } of examples) frame.elements.example.append(new Option(type));
fillIn();
setInterval(look, LOOK_EVERY);
look();

function open() {
  socket?.close();
  const url = new URL(page.dataset.path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const wanted = connection.elements.subprotocol.value;
  const opened = new WebSocket(url, wanted ? [wanted] : []);
  socket = opened;
  opened.onopen = () => {
    note("open", `protocol ${JSON.stringify(opened.protocol)}`);
    if (opened === socket && isJSON() && connection.elements.resume.checked) attempt(() => send(JSON.stringify({ type: "resume", ref: nextRef(), cursors: {} })));
  };
  opened.onmessage = ({ data }) => {
    note("message", data);
    learn(data);
  };
  opened.onerror = () => note("error");
  opened.onclose = (event) => note("close", closing(event));
  look();
}

function close() {
  const { code, reason } = connection.elements;
  if (code.value === "") socket?.close();
  else socket?.close(Number(code.value), reason.value);
  look();
}

function say() {
  const { to, kind, body } = message.elements;
  send(compose(isJSON() ? "chat.v1.json" : "chat", { to: to.value, isRoom: kind.value === "room", body: body.value, ref: nextRef(), id: clientId() }));
  body.value = "";
}

function send(data) {
  if (socket === null) throw new Error("There is no WebSocket.");
  if (socket.readyState > WebSocket.OPEN) throw new Error(`readyState is ${STATES[socket.readyState]}.`); // which send() keeps to itself
  socket.send(data);
  note("send", data);
}

/** What the browser refuses is worth seeing, too. */
function attempt(action) {
  try {
    action();
  } catch (error) {
    note("exception", `${error.name}: ${error.message}`);
  }
}

function fillIn() {
  const example = examples.find(({ type }) => type === frame.elements.example.value);
  const [room] = known.keys();
  frame.elements.raw.value = ready(example, { ref: nextRef(), id: clientId(), room });
}

function learn(data) {
  for (const [id, name] of roomsIn(data)) {
    if (!known.has(id)) find("#known-rooms").append(new Option(name, id));
    known.set(id, name);
  }
}

function nextRef() {
  return String(++refs);
}

function isJSON() {
  return (socket?.protocol || connection.elements.subprotocol.value) === "chat.v1.json";
}

function note(kind, data) {
  transcript.add(kind, data);
  look();
  drawSoon();
}

function look() {
  const state = socket ? socket.readyState : WebSocket.CLOSED;
  write(find(".state"), socket ? `${state} ${STATES[state]}` : "—");
  write(find(".buffered"), String(socket?.bufferedAmount ?? 0));
  connection.elements.close.disabled = state > WebSocket.OPEN;
}

function drawSoon() {
  if (drawing) return;
  drawing = true;
  if (document.hidden) setTimeout(draw, LOOK_EVERY);
  else requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  const stays = follow.checked;
  show(list, transcript.entries, made, () => {});
  if (stays) log.scrollTop = log.scrollHeight;
}

function made({ time, kind, data }) {
  const element = clone("entry");
  element.dataset.kind = kind;
  write(element.querySelector("time"), time);
  write(element.querySelector(".kind"), kind);
  write(element.querySelector("pre"), isPretty.checked ? pretty(data) : data);
  return element;
}

async function copyAll() {
  const outcome = find(".copied");
  const isCopied = await copy(transcript.toString());
  write(outcome, isCopied ? outcome.dataset.done : outcome.dataset.failed);
}
