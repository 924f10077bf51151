// "If the sample were a 3": the class that a picture of pushes takes a sample to be of, and the samples dropped on it.

import { h, mark } from "./dom.js";
import { classInks, css, readable } from "./ink.js";

const MOST = 12; // samples dropped
const ROOM = 400; // places tried for a new one
const REST = 300; // ms until the page hears of it: the picture comes first

export class Assume {
  #built = "";

  /** `front()` is the direction towards the reader where there is one. */
  constructor(board, front) {
    Object.assign(this, { board, front });
    this.chips = h("div", { className: "chips", role: "radiogroup", "aria-label": "If the sample were of class" });
    this.chips.addEventListener("keydown", (event) => this.#key(event));
    this.drop = h("button", { type: "button", title: "A sample where there is room: it flows where the loss sends it", onclick: () => this.#drop() }, "Drop a sample");
    this.clear = h("button", { type: "button", title: "Take all dropped samples away", onclick: () => board.change({ drops: [] }, { wait: REST }) }, "Clear samples");
    this.element = h("div", { className: "assume" }, h("span", {}, "If the sample were a"), this.chips, this.drop, this.clear);
  }

  show(names, theme) {
    const { label = 0, drops = [] } = this.board.state.values, own = Math.min(label, names.length - 1);
    const key = JSON.stringify([names, theme.dark]);
    if (key !== this.#built) {
      this.#built = key;
      const inks = classInks(names.length, theme, [own]);
      this.chips.replaceChildren(...names.map((name, k) => {
        const chip = h("button", { type: "button", role: "radio", className: "chip", "aria-label": `class ${name}`, onclick: () => this.choose(k) }, name);
        [chip.style.background, chip.style.color] = [css(inks[k]), readable(inks[k])];
        return chip;
      }));
    }
    [...this.chips.children].forEach((chip, k) => { mark(chip, "aria-checked", k === own); chip.tabIndex = k === own ? 0 : -1; });
    this.drop.disabled = drops.length >= MOST;
    this.clear.disabled = !drops.length;
  }

  choose(k) { this.board.change({ label: k }, { wait: REST }); }

  /** Arrow keys go from class to class, as among radio buttons. */
  #key(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key], all = [...this.chips.children];
    if (!by) return;
    const next = (all.indexOf(event.target) + by + all.length) % all.length;
    this.choose(next);
    all[next].focus();
    event.preventDefault();
    event.stopPropagation();
  }

  /** A sample where the plane was clicked; a click on one that lies there takes it away. */
  place(x, y, near) {
    const { drops = [] } = this.board.state.values, here = ([a, b], i) => drops[i].length === 2 && Math.hypot(a - x, b - y) < near;
    const others = drops.filter((row, i) => !here(row, i));
    if (others.length === drops.length) others.push([x, y].map((v) => Number(v.toFixed(3))));
    this.board.change({ drops: others.slice(-MOST) }, { wait: REST });
  }

  /** A new sample as far as may be from those that are there, on the side that is seen. */
  #drop() {
    const { drops = [], surface } = this.board.state.values, front = this.front(), flat = surface !== "sphere";
    let [best, most] = [null, -Infinity];
    for (let i = 0; i < ROOM; i++) {
      const turn = i * 2.399963, z = flat ? 0 : 1 - (2 * i + 1) / ROOM, r = Math.sqrt(1 - z * z);
      const place = [r * Math.cos(turn), r * Math.sin(turn), z], dot = (row) => place.reduce((sum, v, d) => sum + v * (row[d] ?? 0), 0);
      if (!flat && front && dot(front) < 0.4) continue;
      const least = Math.min(1, ...drops.map((row) => -dot(row)));
      if (least > most) [best, most] = [place, least];
    }
    this.board.change({ drops: [...drops, best.map((v) => Number(v.toFixed(3)))] }, { wait: REST });
  }
}
