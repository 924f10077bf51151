// The card of a sample (its picture and where it stands) or of a prototype (how its class is doing).

import { h, say } from "./dom.js";
import { anglesOf, percent } from "./stats.js";

const STATES = ["clears the margin", "inside the margin", "wrong"];
const ENLARGED = 4;

export class Card {
  constructor() {
    this.picture = h("canvas", { className: "picture", role: "img" });
    this.title = h("strong");
    this.note = h("span", { className: "note" });
    this.rows = h("dl");
    this.element = h("div", { className: "card", hidden: true }, this.picture,
      h("div", { className: "facts" }, this.title, this.note, this.rows));
    this.cells = [];
  }

  #table(rows) {
    while (this.cells.length < rows.length) {
      const cell = [h("dt"), h("dd")];
      this.cells.push(cell);
      this.rows.append(...cell);
    }
    this.cells.forEach(([term, value], i) => {
      term.hidden = value.hidden = i >= rows.length;
      if (i < rows.length) { say(term, rows[i][0]); say(value, rows[i][1]); }
    });
  }

  sample(i, frame, info, names, sheet) {
    const label = info.labels[i], { own, other, rival } = anglesOf(frame, i, label), { width, height, columns } = info.sprite;
    this.picture.hidden = !sheet.complete || sheet.naturalWidth === 0;
    if (!this.picture.hidden && this.drawn !== i) {
      [this.picture.width, this.picture.height] = [width * ENLARGED, height * ENLARGED];
      const ctx = this.picture.getContext("2d");
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(sheet, (i % columns) * width, Math.floor(i / columns) * height, width, height, 0, 0, width * ENLARGED, height * ENLARGED);
      this.drawn = i;
    }
    this.picture.setAttribute("aria-label", `picture of sample ${i}, class ${names[label]}`);
    const truth = info.truth?.[i] ?? label;
    say(this.title, truth === label ? `Class ${names[label]}` : `Class ${names[label]}, really ${names[truth]}`);
    say(this.note, `${info.split[i] ? "test" : "train"} sample ${i} · ${STATES[frame.state[i]]}`);
    this.#table([
      ["own prototype", `${own.toFixed(1)}°`],
      [rival < 0 ? "nearest other" : `nearest other: ${names[rival]}`, `${other.toFixed(1)}°`],
      ["gap", (frame.gap[i] / 8192).toFixed(3)],
      ["loss", frame.loss[i] === 65535 ? "≥ 256" : (frame.loss[i] / 256).toFixed(frame.loss[i] < 2560 ? 3 : 1)],
      ...(frame.map && frame.dim === 2 ? [] : [["length", Number(((frame.norm[i] / 65535) * frame.normMax).toPrecision(3)).toString()]]), // there it is a place
    ]);
    this.element.hidden = false;
  }

  prototype(k, frame, stats, names) {
    const { count, mean, clear } = stats.classes[k], { each } = frame;
    const lengths = frame.length.subarray(k * each, (k + 1) * each);
    const ends = new Set([Math.min(...lengths), Math.max(...lengths)].map((length) => Number(length.toPrecision(3))));
    this.picture.hidden = true;
    say(this.title, each > 1 ? `${each} prototypes of ${names[k]}` : `Prototype ${names[k]}`);
    say(this.note, `${count} shown samples`);
    this.#table(count ? [["mean angle", `${mean.toFixed(1)}°`], ["clear the margin", `${percent(clear)} %`],
      [`prototype length${each > 1 ? "s" : ""}`, [...ends].join("–")]] : []);
    this.element.hidden = false;
  }

  forget() { this.drawn = null; }
  hide() { this.element.hidden = true; }

  /** Beside a place on the picture, on the side with more room; pinned cards keep to the top left corner. */
  place(x, y, width, height, pinned) {
    const { offsetWidth: w, offsetHeight: h } = this.element;
    const left = pinned ? 10 : x + 18 + w < width ? x + 18 : Math.max(4, x - w - 18);
    const top = pinned ? 10 : Math.max(4, Math.min(height - h - 4, y - h / 2));
    this.element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    this.element.classList.toggle("pinned", pinned);
  }
}
