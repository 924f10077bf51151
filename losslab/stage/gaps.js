// Margin zones that no curve of one angle can tell: grids of gaps, fetched for the snapshots that are looked at.

import { decodeGaps } from "./frame.js";

const KEPT = 24; // grids, the latest used last
const NEAR = 4; // snapshots apart: while the run plays, a grid this near stands in for one that is on its way
const AGAIN = 2000; // ms after a failure

export class Gaps {
  refused = false; // there are none for this run, and never will be
  #grids = new Map();
  #asking = false;
  #failed = -AGAIN;

  /** `heard()` is called when another grid is there. */
  constructor(path, heard) { Object.assign(this, { path, heard }); }

  /** The grid of snapshot `index`, or of a near one, or null; fetches what is missing, one at a time. */
  near(index) {
    const exact = this.#grids.get(index);
    if (exact) {
      this.#grids.delete(index);
      this.#grids.set(index, exact);
      return exact;
    }
    this.#fetch(index);
    const others = [...this.#grids.values()].filter((grid) => Math.abs(grid.index - index) <= NEAR);
    return others.sort((a, b) => Math.abs(a.index - index) - Math.abs(b.index - index))[0] ?? null;
  }

  async #fetch(index) {
    if (this.#asking || this.refused || performance.now() - this.#failed < AGAIN) return;
    this.#asking = true;
    try {
      const answer = await fetch(`${this.path}/gaps/${index}`, { cache: "no-store", signal: AbortSignal.timeout(20000) });
      this.refused = answer.status === 400;
      if (!answer.ok) throw new Error(`${answer.status}`);
      this.#grids.set(index, decodeGaps(await answer.arrayBuffer()));
      if (this.#grids.size > KEPT) this.#grids.delete(this.#grids.keys().next().value);
    } catch { this.#failed = performance.now(); }
    this.#asking = false;
    this.heard(); // also after a failure: the zones are then said not to be drawn
  }
}
