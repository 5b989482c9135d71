// Where one is in the list of messages: at its end, at the divider, on the way to a message, or at a row that one reads. There one stays,
// whatever comes, changes or is let go around it. And which stretch of the room's window has rows, so that they are there before one scrolls to them.

import { around, earlier, later, newest, remaining } from "./stretch.js";

const AT_END = 100;
const AHEAD = 800;
const LOADED_AHEAD = 50; // messages
const ABOVE_DIVIDER = 72;
const LOW_ROW = 24; // px: as many rows as this high fill the screen and what is ahead on both sides, with some to spare

export class Place {
  #log;
  #list;
  #moved;
  #held = "end"; // by what one is held: "end" · "divider", in sight until one moves · "message", yet to be scrolled to · "row"
  #target = null; // the seq of that message
  #anchor = null; // the row that stays where it is, and its place on the screen, as of when one last scrolled
  #stretch = null;
  #endsHere = true; // whether the rows end with the newest message
  #leaping = false; // on the way to the newest: no scrolling from before says where one is
  #height = 0; // of the log, when its scrolling was last put right
  #scrolledTo = 0; // by ourselves

  /** `log` scrolls, `list` in it has the rows; `moved()` after somebody has scrolled, or the space has changed. */
  constructor(log, list, moved) {
    this.#log = log;
    this.#list = list;
    this.#moved = moved;
    log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const sizes = new ResizeObserver(() => this.#resized());
    sizes.observe(log);
    sizes.observe(list);
  }

  /** Another room, whose rows are yet to come. */
  begin() {
    this.#stretch = this.#anchor = null;
    this.#endsHere = true;
    this.toEnd();
    this.#leaping = false;
  }

  toEnd() {
    this.#held = "end";
    this.#leaping = true;
  }

  toDivider() {
    this.#held = "divider";
  }

  toMessage(seq) {
    this.#held = "message";
    this.#target = seq;
    if (!this.has(seq)) this.#stretch = null;
  }

  /** The message that one was on the way to is not there. */
  giveUp() {
    if (this.#held === "message") this.#held = "row";
  }

  get held() {
    return this.#held;
  }

  /** Whether one stays with what is newest. */
  get atEnd() {
    return this.#held === "end" || this.#held === "divider";
  }

  /** The same, and it has its row. */
  get seesEnd() {
    return this.atEnd && this.#endsHere;
  }

  /** The seq of the row that one reads. */
  get seq() {
    return this.#anchor?.seq;
  }

  has(seq) {
    return this.#stretch !== null && this.#stretch[0] <= seq && seq <= this.#stretch[1];
  }

  /** The stretch of the window that is to have rows; a new one begins around `seq`. */
  stretch({ window, seq: last }, seq) {
    const left = this.#stretch && remaining(this.#stretch, window);
    if (!left) this.#stretch = around(window, seq);
    else this.#stretch = this.#held === "end" ? newest(left, window, this.#most) : left;
    this.#endsHere = this.#stretch[1] >= last;
    return this.#stretch;
  }

  /** Lengthens the stretch towards what will soon be in sight, and answers whether there was need. */
  grow(window) {
    if (!this.#stretch) return false;
    const [from, to] = this.#stretch;
    if (this.#log.scrollTop < AHEAD && from > window[0]) this.#stretch = earlier(this.#stretch, window, this.#most);
    else if (this.#below() < AHEAD && to < window[1]) this.#stretch = later(this.#stretch, window, this.#most);
    else return false;
    return true;
  }

  /** Whether the window itself will soon have been scrolled through. */
  wants(window) {
    const [from, to] = this.#stretch;
    return {
      before: this.#log.scrollTop < 2 * AHEAD && from - window[0] < LOADED_AHEAD,
      after: this.#below() < 2 * AHEAD && window[1] - to < LOADED_AHEAD,
    };
  }

  /** Lets `change` alter the rows while what one reads stays where it is. */
  hold(change) {
    change();
    this.#leaping = false;
    if (this.#held === "message") this.#scrollToMessage();
    if (this.#held === "row") this.#restore();
    else this.#scrollToEnd();
    this.#scrolledTo = this.#log.scrollTop;
    if (this.#held === "row" && this.#endsHere && this.#below() <= 0) this.#held = "end";
  }

  /** The first message of which the beginning is in sight, or of one that is longer than that the rest. */
  firstInSight() {
    const { top } = this.#log.getBoundingClientRect();
    const rows = [...this.#list.querySelectorAll(".message[data-seq]")];
    const first = search(rows, (row) => row.getBoundingClientRect().bottom > top);
    const next = rows[first + 1];
    const cut = rows[first]?.getBoundingClientRect().top < top;
    return cut && next && next.getBoundingClientRect().bottom <= top + this.#log.clientHeight ? next : rows[first];
  }

  /** The last message of which the end is in sight. */
  lastInSight() {
    const { bottom } = this.#log.getBoundingClientRect();
    const rows = [...this.#list.querySelectorAll(".message[data-seq]")];
    return rows[search(rows, (row) => row.getBoundingClientRect().bottom > bottom + 1) - 1];
  }

  get #most() {
    return Math.ceil((this.#log.clientHeight + 3 * AHEAD) / LOW_ROW);
  }

  #below() {
    return this.#log.scrollHeight - this.#log.clientHeight - this.#log.scrollTop;
  }

  #mark() {
    const row = this.firstInSight();
    this.#anchor = row ? { row, seq: Number(row.dataset.seq), top: row.getBoundingClientRect().top } : null;
  }

  // To where it was when one last scrolled, not when it last changed: what is lost by rounding would add up.
  #restore() {
    const { row: before, seq, top } = this.#anchor ?? {};
    const row = before?.isConnected ? before : this.#list.querySelector(`[data-seq="${seq}"]`);
    if (!row) return this.#mark();
    this.#log.scrollTop += row.getBoundingClientRect().top - top;
    if (row !== before || Math.abs(row.getBoundingClientRect().top - top) > 1) this.#mark();
  }

  #scrollToMessage() {
    const row = this.#list.querySelector(`[data-seq="${this.#target}"]`);
    if (!row) return;
    row.scrollIntoView({ block: "center" });
    this.#held = "row";
    this.#mark();
  }

  #scrollToEnd() {
    const divider = this.#held === "divider" ? this.#list.querySelector(".new") : null;
    if (divider) this.#log.scrollTop = Math.min(this.#log.scrollHeight, divider.offsetTop - ABOVE_DIVIDER);
    else if (this.#endsHere) this.#log.scrollTop = this.#log.scrollHeight;
    this.#mark();
  }

  #resized() {
    this.#height = this.#log.clientHeight;
    this.hold(() => {});
    if (this.#stretch) this.#moved(); // otherwise the rows are yet to be drawn, and then one is somewhere
  }

  #scrolled() {
    // A resize scrolls too, and is heard of here first: nobody has moved, and `resized` is about to put it right.
    if (this.#leaping || this.#log.clientHeight !== this.#height || !this.#stretch || this.#held === "message") return;
    const isOurs = this.#log.scrollTop === this.#scrolledTo;
    // At the end one stays, also where it is not known yet: after an outage the rows of what was missed come a little later.
    if (isOurs && this.#held === "end") return this.#moved();
    if (!this.#endsHere || this.#below() > AT_END) this.#held = "row";
    else if (this.#held === "row") this.#held = "end";
    if (!isOurs) this.#mark();
    this.#moved();
  }
}

/** The index of the first of these for which it holds: from there on it holds for all. */
function search(items, holds) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(items[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
