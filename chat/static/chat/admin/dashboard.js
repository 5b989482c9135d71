/** The dashboard: cards, workers and lines follow what the server says; bars show their tables. */

import { bars, clock, lines, redraw } from "./charts.js";
import { fetched, Poll } from "./poll.js";

const KEPT = 5 * 60_000; // milliseconds of points
const GAP = 15_000; // without an answer, until lines are interrupted

const page = document.querySelector(".dashboard");
const trouble = page.querySelector(".trouble");
const points = [];

for (const canvas of page.querySelectorAll("canvas[data-table]")) {
  bars(canvas, canvas.closest(".panel").querySelector("table"));
}
const live = [...page.querySelectorAll("canvas[data-points]")].map(liveChart);

function liveChart(canvas) {
  const names = canvas.dataset.points.split(" ");
  const panel = canvas.closest(".panel");
  const labels = [...panel.querySelectorAll("thead th")].slice(1).map((cell) => cell.textContent);
  const draw = lines(canvas, names, labels);
  const details = panel.querySelector("details");
  const list = () => {
    if (details.open) fill(panel.querySelector("tbody"), names);
  };
  details.addEventListener("toggle", list);
  return () => {
    draw(points, Date.now());
    list();
  };
}

function fill(body, names) {
  const known = points.filter(({ gap }) => !gap).reverse();
  body.replaceChildren(...known.map((point) => row([clock(point.at), ...names.map((name) => point[name] ?? "–")])));
}

function row(cells) {
  const made = document.createElement("tr");
  cells.forEach((text, n) => {
    const cell = document.createElement(n ? "td" : "th");
    if (!n) cell.scope = "row";
    cell.textContent = text;
    made.append(cell);
  });
  return made;
}

function show({ at, cards, points: now, workers }) {
  tell("");
  const time = page.querySelector(".as-of time");
  time.dateTime = at;
  time.textContent = at.slice(11, 19);
  for (const card of cards) showCard(card);
  showWorkers(workers);
  remember({ at: Date.parse(at), ...now });
  live.forEach((draw) => draw());
}

function showCard({ name, label, value, note, tone }) {
  const card = page.querySelector(`[data-card="${name}"]`);
  card.dataset.tone = tone;
  for (const [part, text] of Object.entries({ label, value, note })) {
    card.querySelector(`.${part}`).textContent = text;
  }
}

function showWorkers(workers) {
  const rows = workers.map(({ cells, tone }) => {
    const made = row(cells);
    made.dataset.tone = tone;
    return made;
  });
  page.querySelector(".workers tbody").replaceChildren(...rows);
  page.querySelector(".nobody").hidden = rows.length > 0;
}

function remember(point) {
  const last = points.at(-1);
  if (last && point.at - last.at > GAP) points.push({ at: last.at + 1, gap: true });
  points.push(point);
  while (points[0].at < point.at - KEPT) points.shift();
}

/** What is wrong, in the page's own words; nothing: all is well. */
function tell(words) {
  if (trouble.textContent !== words) trouble.textContent = words;
  page.toggleAttribute("data-old", words !== "");
}

const poll = new Poll((signal) => fetched(page.dataset.live, signal), {
  onAnswer: show,
  onSilence: () => tell(page.dataset.silent),
  onOver: () => tell(page.dataset.over),
});
const look = () => poll.watch(!document.hidden);
document.addEventListener("visibilitychange", look);
addEventListener("pageshow", ({ persisted }) => persisted && look());
look();

new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
