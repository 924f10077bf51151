// How the gap of one sample went through the snapshots, and when it cleared the margin.

import { h, mark, say } from "./dom.js";
import { css } from "./ink.js";
import { label } from "./marks.js";

const CLEAR = 0;

/** One sentence on when sample i cleared the margin, over all snapshots there are. */
function cleared(frames, i) {
  const last = frames.length - 1;
  let since = last + 1;
  while (since > 0 && frames[since - 1].state[i] === CLEAR) since--;
  if (since === 0) return "beyond the margin from the start";
  if (since <= last) return `cleared the margin at step ${frames[since].step}`;
  const before = frames.findLast((frame) => frame.state[i] === CLEAR);
  return before ? `back inside since step ${frames[frames.indexOf(before) + 1].step}` : `has not cleared the margin by step ${frames[last].step}`;
}

export class History {
  constructor() {
    this.title = h("strong");
    this.note = h("span", { className: "note" });
    this.canvas = h("canvas", { role: "img" });
    this.element = h("div", { className: "history", hidden: true }, h("div", { className: "history-head" }, this.title, this.note), this.canvas);
  }

  update(i, { frames, info, position, theme, caption }) {
    this.element.hidden = i === null;
    if (i === null) return;
    const note = cleared(frames, i), truth = info.truth && info.truth[i] !== info.labels[i] ? `, really ${info.classes[info.truth[i]]}` : "";
    say(this.title, `Sample ${i}: ${caption}${truth}`);
    say(this.note, note);
    mark(this.canvas, "aria-label", `Gap of sample ${i} over training: ${note}`);
    this.#draw(i, frames, position, theme);
  }

  #draw(i, frames, position, theme) {
    const { clientWidth: width, clientHeight: height } = this.canvas, dpr = devicePixelRatio || 1;
    if (width === 0) return;
    [this.canvas.width, this.canvas.height] = [Math.round(width * dpr), Math.round(height * dpr)];
    const ctx = this.canvas.getContext("2d"), [left, right, top, bottom] = [6, width - 62, 6, height - 6];
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    const gaps = frames.map((frame) => frame.gap[i] / 8192), most = Math.max(0.1, ...gaps), least = Math.min(-0.1, ...gaps);
    const end = Math.max(1, frames.at(-1).step), x = (step) => left + (step / end) * (right - left), y = (gap) => bottom - ((gap - least) / (most - least)) * (bottom - top);
    ctx.beginPath();
    ctx.moveTo(left, y(0));
    ctx.lineTo(right, y(0));
    ctx.setLineDash([3, 3]);
    ctx.lineWidth = 1;
    ctx.strokeStyle = css(theme.soft);
    ctx.stroke();
    ctx.setLineDash([]);
    label(ctx, "margin", right + 6, y(0) + 4, theme);
    for (let s = 1; s < frames.length; s++) {
      ctx.beginPath();
      ctx.moveTo(x(frames[s - 1].step), y(gaps[s - 1]));
      ctx.lineTo(x(frames[s].step), y(gaps[s]));
      ctx.strokeStyle = css([theme.text, theme.inside, theme.wrong][frames[s].state[i]]);
      ctx.lineWidth = 2;
      ctx.stroke();
    }
    const at = Math.min(frames.length - 1, position);
    ctx.beginPath();
    ctx.arc(x(frames[at].step), y(gaps[at]), 4, 0, 2 * Math.PI);
    ctx.fillStyle = css([theme.text, theme.inside, theme.wrong][frames[at].state[i]]);
    ctx.strokeStyle = css(theme.background);
    ctx.lineWidth = 1.5;
    ctx.fill();
    ctx.stroke();
  }
}
