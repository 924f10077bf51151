// The margin under the reader's hand: a slider on the picture, whose outlines answer while it moves.
//
// The server sends the loss's own curves at some margins between the lowest and the highest (`positive`, `negative`:
// [margins][angles]); between two of them they are interpolated, so that no loss is written a second time here.

import { h, mark, say, spoken } from "./dom.js";

const blend = (a, b, t) => Float32Array.from(a, (value, i) => value + t * (b[i] - value));

export class Dial {
  turned = false; // moved by the reader, and the server has not answered yet

  constructor({ onturn, onset }) {
    this.slider = h("input", { type: "range", "aria-label": "Margin on the picture",
      oninput: () => { [this.turned, this.moved] = [true, performance.now()]; this.#show(); onturn(); },
      onchange: () => onset(this.data.name, Number(this.slider.value)) });
    this.slider.addEventListener("keydown", (event) => event.stopPropagation()); // arrows are its own here
    this.name = h("span", {});
    this.value = h("output", {});
    this.element = h("label", { className: "dial", hidden: true }, this.name, this.slider, this.value);
  }

  /** What the server says of the knob: {name, symbol, unit, low, high, step, value, title, positive, negative} or null. */
  update(data) {
    this.element.hidden = !data;
    this.data = data;
    if (!data) { this.turned = false; return; }
    for (const [name, value] of [["min", data.low], ["max", data.high], ["step", data.step]]) mark(this.slider, name, value);
    // An answer to an earlier value, while the hand or the keys have gone on: not to be obeyed.
    const behind = Math.abs(data.value - this.slider.value) > data.step / 2 && performance.now() - this.moved < 1500;
    if (this.turned && (this.held || behind)) return;
    this.turned = false;
    this.slider.value = data.value;
    this.#show();
  }

  /** The curves and the words of the margin under the hand. */
  get preview() {
    const { low, high, positive, negative, title, name } = this.data, value = Number(this.slider.value);
    const at = ((value - low) / (high - low)) * (positive.length - 1), i = Math.min(Math.floor(at), positive.length - 2), t = at - i;
    return { positive: blend(positive[i], positive[i + 1], t), negative: blend(negative[i], negative[i + 1], t), text: `${title} ${spoken(name)} ${value}` };
  }

  get held() { return this.slider.matches(":active"); }

  #show() {
    say(this.name, `${spoken(this.data.name)} ${this.data.symbol}`);
    say(this.value, `${Number(this.slider.value).toFixed(2)} ${this.data.unit}`.trim());
  }
}
