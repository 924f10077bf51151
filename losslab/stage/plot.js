// A chart by Plotly, which is loaded once, from our own server, when the first chart is wanted.

import { beside } from "./beside.js";
import { h } from "./dom.js";

let loading = null;

/** The library; it knows itself only as a global of the page. */
function plotly() {
  loading ??= new Promise((resolve, reject) => {
    if (window.Plotly) { resolve(window.Plotly); return; }
    const script = h("script", { src: beside("../plotly.js"), onload: () => resolve(window.Plotly),
      onerror: () => { loading = null; reject(new Error("The chart library could not be loaded; reload the page.")); } });
    document.head.append(script);
  });
  return loading;
}

const CONFIG = { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: "reset" };

export class Plot {
  /** `onplace(x, y, near)`, if given, hears of clicks in the chart's own units; `near` is how far ten pixels reach. */
  constructor(onplace = null) {
    this.element = h("div", { className: "chart", role: "img" });
    if (onplace) this.element.addEventListener("click", (event) => this.#placed(event, onplace));
    plotly().catch(() => {});
  }

  #placed({ clientX, clientY, detail }, onplace) {
    const { xaxis, yaxis } = this.element._fullLayout ?? {}, box = this.element.getBoundingClientRect();
    if (!xaxis || detail !== 1) return; // a double click resets the axes
    const [x, y] = [clientX - box.left - xaxis._offset, clientY - box.top - yaxis._offset];
    if (x < 0 || y < 0 || x > xaxis._length || y > yaxis._length) return;
    onplace(xaxis.p2d(x), yaxis.p2d(y), xaxis.p2d(10) - xaxis.p2d(0));
  }

  async show({ figure }) {
    const library = await plotly();
    this.figure = figure;
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const bare = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" }; // the page's own shows through
    await library.react(this.element, figure.data, { ...figure.layout, ...bare, width, height }, CONFIG);
  }

  async resized() {
    if (!this.figure) return;
    const { clientWidth: width, clientHeight: height } = this.element;
    if (width && height && (width !== this.width || height !== this.height)) {
      [this.width, this.height] = [width, height];
      await this.show({ figure: this.figure });
    }
  }

  remove() { window.Plotly?.purge(this.element); }
}

export const [WIDTH, HEIGHT] = [860, 620]; // of a figure as a file

/** A figure as a file of its own, with its sentence below. */
export async function image({ data, layout }, format, says) {
  const library = await plotly(), [width, height] = [WIDTH, HEIGHT];
  const note = { text: says.replace(/(.{90,115}) /g, "$1<br>"), xref: "paper", yref: "paper", x: 0, y: 0, yshift: -56, yanchor: "top", showarrow: false, align: "left", font: { size: 12 } };
  const framed = { ...layout, width, height, margin: { ...layout.margin, b: 96, t: 40, l: 70, r: 30 }, annotations: [...(layout.annotations ?? []), note] };
  const url = await library.toImage({ data, layout: framed }, { format, width, height, scale: format === "png" ? 2 : 1 });
  return (await fetch(url)).blob();
}
