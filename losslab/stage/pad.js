// A pad to draw a digit on, and where the newest weights of the run put what was drawn.

import { bytes, h, mark, say } from "./dom.js";
import { css } from "./ink.js";

const SIDE = 280, CELLS = 28, STROKE = 25; // pixels of the pad, of the picture that travels, of the pen
const WAIT = 90; // ms between two questions while the pen moves
const NEAREST = 4; // classes in the list
const DRAW = "Draw a digit: the newest weights of this run say where it belongs.";
const RECORDING = "A recording keeps no weights. Train it to draw into it.";

export class Pad {
  answer = null; // what the server says of the drawing: {step, direction, length, angle_deg, gap, probability, image}
  direction = null; // where the drawing stands at this moment, on its way to where it belongs
  #path = null;
  #asking = null; // until it is answered
  #again = false;
  #asked = 0;

  /** `onchange()`: draw again. `onplaced(direction)`: the pen was lifted, and what is drawn has its place. `still`: whether
   *  motion is not wanted, as `matchMedia` knows it. */
  constructor({ onchange, onplaced, still }) {
    Object.assign(this, { onchange, onplaced, still });
    this.canvas = h("canvas", { className: "paper", width: SIDE, height: SIDE, role: "img", "aria-label": "Draw a digit here with mouse, pen or finger" });
    this.ink = this.canvas.getContext("2d", { willReadFrequently: true });
    this.clear = h("button", { type: "button", className: "toggle plain", onclick: () => this.#wipe() }, "Clear");
    this.seen = h("canvas", { className: "seen", width: CELLS, height: CELLS, role: "img", "aria-label": "As the network sees it", title: "As the network sees it" });
    this.list = h("ol", { className: "nearest" });
    this.note = h("p", { className: "note", role: "status" }, DRAW);
    this.element = h("div", { className: "pad", role: "group", "aria-label": "Draw your own digit", hidden: true },
      h("div", { className: "paper-box" }, this.canvas, h("div", { className: "pad-actions" }, this.seen, this.clear)), h("div", { className: "pad-says" }, this.note, this.list));
    this.seen.hidden = this.list.hidden = true;
    this.#blacken();
    this.#attach();
  }

  get blank() { return this.element.getAttribute("data-blank") === "true"; }

  get moving() {
    const { direction, answer } = this;
    return Boolean(answer) && direction.some((x, d) => Math.abs(x - answer.direction[d]) > 0.002);
  }

  #attach() {
    let last = null;
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.closed) return;
      this.canvas.setPointerCapture(event.pointerId);
      last = at(event);
      this.#line(last, last);
      event.preventDefault();
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      for (const one of event.getCoalescedEvents?.() ?? [event]) { const to = at(one); this.#line(last, to); last = to; }
    });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, async () => {
        if (!last) return;
        last = null;
        await this.#ask();
        if (this.answer && !last) this.onplaced(this.answer.direction);
      });
  }

  #line([x0, y0], [x1, y1]) {
    Object.assign(this.ink, { lineWidth: STROKE, lineCap: "round", strokeStyle: "#fff" });
    this.ink.beginPath();
    this.ink.moveTo(x0, y0);
    this.ink.lineTo(x1, y1 + 0.01);
    this.ink.stroke();
    mark(this.element, "data-blank", false);
    if (performance.now() - this.#asked > WAIT) this.#ask();
  }

  #blacken() {
    this.ink.fillStyle = "#000";
    this.ink.fillRect(0, 0, SIDE, SIDE);
    mark(this.element, "data-blank", true);
  }

  #wipe() {
    this.#blacken();
    this.#show(null, this.closed || DRAW);
  }

  /** Follows another run, or none; what is drawn stays and is asked of the new one. */
  open(path) {
    [this.#path, this.closed] = [path, ""];
    this.#show(null, DRAW);
    if (path && !this.blank) this.#ask();
  }

  /** What is known of the run: of a recording nothing can be asked. */
  describe({ recording, digits }, hidden) {
    this.element.hidden = hidden || !digits;
    this.closed = recording ? RECORDING : "";
    this.element.classList.toggle("closed", recording);
    if (this.closed) this.#show(null, this.closed);
  }

  /** There are newer snapshots, and so perhaps newer weights. */
  arrived() { if (this.#path && !this.blank && !this.closed) this.#ask(); }

  /** The drawing as the server wants it: CELLS x CELLS bytes, each the mean of the pixels under it. */
  get bytes() {
    const { data } = this.ink.getImageData(0, 0, SIDE, SIDE), cell = SIDE / CELLS, sums = new Float32Array(CELLS * CELLS);
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++) sums[Math.floor(y / cell) * CELLS + Math.floor(x / cell)] += data[(y * SIDE + x) * 4];
    return Uint8Array.from(sums, (sum) => Math.round(sum / cell ** 2));
  }

  /** Asks where the drawing belongs: one question at a time, and the last one is always asked. */
  #ask() {
    this.#again = true;
    return (this.#asking ??= this.#answers().finally(() => { this.#asking = null; }));
  }

  async #answers() {
    while (this.#again && this.#path) {
      [this.#again, this.#asked] = [false, performance.now()];
      const path = this.#path;
      try {
        const answer = await fetch(`${path}/embed`, { method: "POST", body: this.bytes, headers: { "content-type": "application/octet-stream" },
          signal: AbortSignal.timeout(20000) });
        const said = answer.ok ? await answer.json() : await answer.text();
        if (path !== this.#path || this.blank) continue; // the reader has gone on
        if (answer.ok) this.#show(said, ""); else this.#show(null, said);
      } catch { if (path === this.#path) this.#show(null, "The server does not answer; draw on to ask again."); }
    }
  }

  #show(answer, note) {
    const last = this.direction;
    this.answer = answer;
    this.direction = answer && (last && !this.still.matches && last.length === answer.direction.length ? last : [...answer.direction]);
    if (note) say(this.note, note);
    this.seen.hidden = this.list.hidden = !answer;
    mark(this.element, "data-step", answer?.step ?? "");
    if (answer) {
      const pixels = new ImageData(CELLS, CELLS);
      bytes(answer.image).forEach((value, i) => pixels.data.set([value, value, value, 255], i * 4));
      this.seen.getContext("2d").putImageData(pixels, 0, 0);
    }
    this.onchange();
  }

  /** Moves the drawing on towards where it belongs: along the sphere, most of the way within a third of a second. */
  tick(seconds) {
    if (!this.moving) return;
    const share = this.still.matches ? 1 : 1 - Math.exp(-seconds * 9), to = this.answer.direction;
    const mid = this.direction.map((x, d) => x + (to[d] - x) * share), length = Math.hypot(...mid);
    this.direction = length < 1e-3 ? [...to] : mid.map((x) => x / length); // from the very opposite there is no shortest way
  }

  /** The classes nearest to the drawing; `step` is that of the picture. */
  update({ names, inks, step, live }) {
    const { answer } = this, key = [step, live, inks];
    if (!answer || (this.told === answer && key.every((value, i) => value === this.key[i]))) return;
    [this.told, this.key] = [answer, key];
    const order = answer.angle_deg.map((_, k) => k).sort((a, b) => answer.angle_deg[a] - answer.angle_deg[b]);
    const { angle_deg: angles, probability, gap } = answer, best = probability ? probability.indexOf(Math.max(...probability)) : order[0];
    mark(this.element, "data-class", names[best]);
    say(this.note, `${names[best] === "8" ? "An" : "A"} ${names[best]}, ${gap[best] > 0 ? "beyond" : "inside"} the margin, by the weights of step ${answer.step}`
      + `${answer.step === step || live ? "" : `; the picture shows step ${step}`}.`);
    const rows = order.slice(0, NEAREST).map((k) => h("li", {}, h("span", { className: "swatch", style: `background:${css(inks[k])}` }), h("b", {}, names[k]),
      h("span", {}, `${angles[k].toFixed(1)}°`), h("span", { className: "bar" }, h("i", { style: `width:${probability ? probability[k] * 100 : 0}%;background:${css(inks[k])}` })),
      h("span", {}, probability ? `${Math.round(probability[k] * 100)} %` : "")));
    this.list.replaceChildren(...rows);
  }
}
