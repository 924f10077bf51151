// "If the sample were a 3": the class that a picture of pushes takes a sample to be of, and the samples dropped on it.

import { h, mark } from "./dom.js";
import { classInks, css, readable } from "./ink.js";
import { lattice, roomiest, rounded } from "./sphere.js";

export const DROPS = 12; // samples at the most
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
    this.drop.disabled = drops.length >= DROPS;
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
    if (others.length === drops.length) others.push(...rounded([[x, y]]));
    this.board.change({ drops: others.slice(-DROPS) }, { wait: REST });
  }

  /** A new sample as far as may be from those that are there, on the side that is seen. */
  #drop() {
    const { drops = [], surface } = this.board.state.values, front = this.front(), dim = surface === "sphere" ? 3 : 2;
    const places = [...lattice(dim, ROOM)].filter((place) => dim === 2 || !front || place.reduce((sum, v, d) => sum + v * front[d], 0) >= 0.4);
    this.board.change({ drops: rounded([...drops, roomiest(places, drops)]) }, { wait: REST });
  }
}
