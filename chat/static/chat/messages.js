// The messages of one room that this page holds, by seq. It never changes: a change makes another one, which shares with it what stayed.
//
// A copy of one Map per arriving message would cost more the more there are. In leaves, it costs the same for ten and for ten thousand.

const LEAF = 64;

const leafOf = (seq) => Math.floor(seq / LEAF);

export class Messages {
  #leaves;

  constructor(leaves = new Map()) {
    this.#leaves = leaves;
  }

  get size() {
    let size = 0;
    for (const leaf of this.#leaves.values()) size += leaf.size;
    return size;
  }

  get(seq) {
    return this.#leaves.get(leafOf(seq))?.get(seq);
  }

  has(seq) {
    return this.get(seq) !== undefined;
  }

  *values() {
    for (const leaf of this.#leaves.values()) yield* leaf.values();
  }

  /** With these as well: of two copies of a message the one with the higher rev wins. */
  with(incoming) {
    const leaves = new Map(this.#leaves);
    const ours = new Set(); // leaves that nobody else has
    for (const message of incoming) {
      const key = leafOf(message.seq);
      if (!ours.has(key)) leaves.set(key, new Map(leaves.get(key)));
      ours.add(key);
      const leaf = leaves.get(key);
      if (!(leaf.get(message.seq)?.rev >= message.rev)) leaf.set(message.seq, message);
    }
    return new Messages(leaves);
  }

  /** Only those whose seq is kept; itself, if all are. */
  filter(isKept) {
    const kept = [...this.values()].filter(({ seq }) => isKept(seq));
    return kept.length === this.size ? this : new Messages().with(kept);
  }
}
