// The panels beside the stage, linked to it: curves over steps, angle histograms, spread of each class.

import { h, mark, say } from "./dom.js";
import { css, mix } from "./ink.js";
import { label } from "./marks.js";

const LEFT = 46, RIGHT = 16; // of every panel, so that axes align

/** A panel: heading, canvas, and a plotting area in CSS pixels. */
class Panel {
  constructor(title, name) {
    this.canvas = h("canvas", { role: "img", "aria-label": title });
    this.title = h("figcaption", {}, title);
    this.values = h("span", { className: "values" });
    this.plot = h("div", { className: "plot" }, this.canvas);
    this.element = h("figure", { className: `panel ${name}` }, h("div", { className: "panel-head" }, this.title, this.values), this.plot);
  }

  begin() {
    const { clientWidth: width, clientHeight: height } = this.canvas, dpr = devicePixelRatio || 1;
    if (width === 0 || height === 0) return null;
    const [w, h] = [Math.round(width * dpr), Math.round(height * dpr)];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const ctx = this.canvas.getContext("2d", { willReadFrequently: true });
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    ctx.clearRect(0, 0, width, height);
    return { ctx, width, height };
  }
}

const rule = (ctx, x0, y0, x1, y1, ink) => {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.strokeStyle = ink;
  ctx.lineWidth = 1;
  ctx.stroke();
};

/** Round values between low and high, at most about `most` of them. */
function ticks(low, high, most) {
  const raw = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((m) => m * power >= raw * 0.999) * power, out = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-6; v += step) out.push(Math.abs(v) < step * 1e-6 ? 0 : v);
  return out;
}

const short = (v) => (v >= 1000 ? `${Number((v / 1000).toPrecision(3))}k` : String(Number(v.toPrecision(3))));

// What a run may know of its accuracy: its scalar, in words, in short, and how its line is dashed.
const ACCURACIES = [["train_accuracy", "accuracy, train", "train", [4, 3]], ["test_accuracy", "accuracy, test", "test", []],
  ["shown_accuracy", "accuracy, shown", "shown", []]];

export class Charts {
  constructor({ onseek }) {
    this.curves = new Panel("Loss, accuracy", "curves");
    this.angles = new Panel("Angle to prototypes", "angles");
    this.spread = new Panel("Angle to own prototype, by class", "spread");
    this.playhead = h("div", { className: "playhead", hidden: true });
    this.curves.plot.append(this.playhead);
    this.element = h("div", { className: "panels" }, this.curves.element, this.angles.element, this.spread.element);
    const seek = (event) => {
      if (!this.scale || (event.type === "pointermove" && event.buttons !== 1)) return;
      const x = event.clientX - this.curves.canvas.getBoundingClientRect().left;
      onseek(this.scale.steps, this.scale.low + ((x - LEFT) / this.scale.wide) * (this.scale.high - this.scale.low));
    };
    this.curves.canvas.addEventListener("pointerdown", (event) => {
      this.curves.canvas.setPointerCapture(event.pointerId);
      seek(event);
    });
    this.curves.canvas.addEventListener("pointermove", seek);
  }

  /** Curves of all snapshots received so far; `frames` in order. Drawn again only when frames or theme change. */
  drawCurves(frames, theme) {
    const view = this.curves.begin();
    if (!view || frames.length === 0) return;
    const { ctx, width, height } = view, bottom = height - 32, wide = width - LEFT - RIGHT;
    const steps = frames.map((frame) => frame.step), low = steps[0], high = Math.max(steps.at(-1), low + 1);
    const x = (step) => LEFT + ((step - low) / (high - low)) * wide;
    this.scale = { steps, low, high, wide, top: 2, bottom };
    const series = (name) => frames.map((frame, i) => [x(steps[i]), frame.scalars[name]]).filter(([, v]) => Number.isFinite(v));
    const middle = Math.round(bottom * 0.5);
    this.#loss(ctx, series("loss"), 8, middle - 12, wide, theme);
    this.#accuracy(ctx, ACCURACIES.map(([name, text, , dash]) => [series(name), text, dash]), middle + 12, bottom, wide, theme);
    for (const tick of ticks(low, high, Math.max(2, wide / 70))) {
      rule(ctx, x(tick), bottom, x(tick), bottom + 4, css(theme.hair));
      label(ctx, short(tick), x(tick), bottom + 16, theme, { align: "center" });
    }
    label(ctx, "step", LEFT + wide, bottom + 29, theme, { align: "right" });
  }

  #frame(ctx, values, y, wide, text, theme) {
    for (const value of values) {
      rule(ctx, LEFT, Math.round(y(value)) + 0.5, LEFT + wide, Math.round(y(value)) + 0.5, css(theme.hair, 0.6));
      label(ctx, text(value), LEFT - 6, y(value) + 4, theme, { align: "right" });
    }
  }

  #line(ctx, points, y, ink, dash = []) {
    ctx.beginPath();
    for (const [x, v] of points) ctx.lineTo(x, y(v));
    ctx.setLineDash(dash);
    ctx.strokeStyle = ink;
    ctx.lineWidth = 1.8;
    ctx.lineJoin = "round";
    ctx.stroke();
    ctx.setLineDash([]);
  }

  #loss(ctx, points, top, bottom, wide, theme) {
    if (points.length === 0) return;
    const values = points.map(([, v]) => v), most = Math.max(...values, 1e-6), least = Math.min(...values);
    const log = least > 0 && most / least > 30; // a linear axis would flatten all but the first steps
    const [a, b] = log ? [Math.floor(Math.log10(least) * 2) / 2, Math.log10(most)] : [0, most * 1.04];
    const y = (v) => bottom - (((log ? Math.log10(v) : v) - a) / (b - a || 1)) * (bottom - top);
    const lines = log ? ticks(Math.ceil(a), b, 3).filter(Number.isInteger).map((p) => 10 ** p) : ticks(0, b, 3);
    this.#frame(ctx, lines, y, wide, short, theme);
    this.#line(ctx, points, y, css(theme.text, 0.85));
    const [lx, lv] = points.at(-1);
    const above = y(lv) - 7 > top + 8;
    label(ctx, log ? "loss (log)" : "loss", lx, above ? y(lv) - 7 : y(lv) + 16, theme,
      { align: "right", weight: 600, ink: theme.text, halo: true });
  }

  #accuracy(ctx, all, top, bottom, wide, theme) {
    const y = (v) => bottom - v * (bottom - top);
    this.#frame(ctx, [0, 0.5, 1], y, wide, (v) => `${v * 100} %`, theme);
    const lines = all.filter(([points]) => points.length).map(([points, text, dash]) => [points, text, dash.length ? theme.soft : theme.text, dash]);
    for (const [points, , ink, dash] of lines) this.#line(ctx, points, y, css(ink), dash);
    // written below the ends of the lines, one after the other: near 100 % they would cover one another
    const at = lines.length ? Math.max(...lines.map(([points]) => y(points.at(-1)[1]))) : 0;
    const low = at + 18 > bottom - 20 ? Math.min(...lines.map(([points]) => y(points.at(-1)[1]))) - 8 - 15 * (lines.length - 1) : at + 18;
    lines.forEach(([, text, ink, dash], i) => {
      const right = LEFT + wide;
      label(ctx, text, right, low + i * 15, theme, { align: "right", weight: 600, ink, halo: true });
      const start = right - ctx.measureText(text).width - 26;
      this.#line(ctx, [[start, low + i * 15 - 4], [start + 20, low + i * 15 - 4]], (v) => v, css(ink), dash);
    });
  }

  /** The playhead, and in the heading what the real snapshot there measured. */
  movePlayhead(step, { scalars }) {
    const parts = [["loss", (v) => Number(v.toPrecision(3))], ...ACCURACIES.map(([name, , short]) => [name, (v) => `${short} ${(v * 100).toFixed(1)} %`])];
    say(this.curves.values, parts.filter(([name]) => Number.isFinite(scalars[name])).map(([name, text]) => text(scalars[name])).join(" · "));
    const show = this.scale !== undefined && this.scale !== null;
    this.playhead.hidden = !show;
    if (!show) return;
    const { low, high, wide } = this.scale;
    this.playhead.style.transform = `translateX(${(LEFT + ((step - low) / (high - low)) * wide).toFixed(1)}px)`;
  }

  /** Own against nearest other prototype, for the shown samples. */
  drawAngles(stats, theme) {
    const view = this.angles.begin();
    if (!view) return;
    const { ctx, width, height } = view, bottom = height - 32, top = 34, wide = width - LEFT - RIGHT, merge = 30, bins = 60;
    const x = (degrees) => LEFT + (degrees / 180) * wide;
    const coarse = (fine) => Array.from({ length: bins }, (_, b) => fine.subarray(b * merge, (b + 1) * merge).reduce((s, v) => s + v, 0));
    const [own, other] = [coarse(stats.own), coarse(stats.other)], most = Math.max(...own, ...other, 1);
    const share = most / (stats.total || 1), y = (count) => bottom - (count / most) * (bottom - top);
    for (const value of ticks(0, share, 2)) {
      const at = Math.round(y(value * (stats.total || 1))) + 0.5;
      rule(ctx, LEFT, at, LEFT + wide, at, css(theme.hair, 0.6));
      label(ctx, `${Number((value * 100).toPrecision(3))} %`, LEFT - 6, at + 4, theme, { align: "right" });
    }
    const outline = (counts, close) => {
      ctx.beginPath();
      ctx.moveTo(x(0), bottom);
      counts.forEach((count, b) => { ctx.lineTo(x(b * 3), y(count)); ctx.lineTo(x(b * 3 + 3), y(count)); });
      ctx.lineTo(x(180), bottom);
      if (close) ctx.closePath();
    };
    outline(other, true);
    ctx.fillStyle = css(mix(theme.background, theme.text, 0.14), 0.8);
    ctx.fill();
    outline(own, true);
    ctx.fillStyle = css(theme.primary, 0.55);
    ctx.fill();
    outline(other, false);
    ctx.strokeStyle = css(theme.text, 0.7);
    ctx.lineWidth = 1.2;
    ctx.stroke();
    for (let d = 0; d <= 180; d += wide < 220 ? 60 : 30) {
      rule(ctx, x(d), bottom, x(d), bottom + 4, css(theme.hair));
      label(ctx, `${d}°`, x(d), bottom + 16, theme, { align: "center" });
    }
    label(ctx, "angle, share of samples in 3°", LEFT + wide, bottom + 29, theme, { align: "right" });
    if (stats.total === 0) return;
    const names = [[`own ${stats.median.own.toFixed(1)}°`, stats.median.own, mix(theme.primary, theme.text, 0.35)],
      [`nearest other ${stats.median.other.toFixed(1)}°`, stats.median.other, theme.text]];
    names.forEach(([text, median, ink], i) => {
      rule(ctx, x(median), i === 0 ? 18 : 32, x(median), bottom, css(ink));
      ctx.font = `600 12px ${theme.font}`;
      const room = ctx.measureText(text).width + 6, flip = x(median) + room > LEFT + wide;
      label(ctx, text, x(median) + (flip ? -5 : 5), i === 0 ? 12 : 27, theme, { align: flip ? "right" : "left", weight: 600, ink, halo: true });
    });
    mark(this.angles.canvas, "aria-label", `Histogram of angles: ${names.map(([text]) => text).join(", ")} (medians)`);
  }

  /** Median and 10-90 % range of the angle to the own prototype, a row a class. */
  drawSpread(stats, { names, inks, hidden, theme }) {
    const view = this.spread.begin();
    if (!view) return;
    const { ctx, width, height } = view, bottom = height - 32;
    let rows = stats.classes.map((row, k) => ({ ...row, k })).filter((row) => row.count > 0 && !hidden.has(row.k));
    const fit = Math.floor(bottom / 10), some = rows.length > fit;
    if (some) rows = rows.sort((a, b) => b.median - a.median).slice(0, fit); // the widest are the ones to look at
    ctx.font = `600 12px ${theme.font}`;
    const left = Math.max(LEFT, Math.min(96, Math.max(0, ...rows.map(({ k }) => ctx.measureText(names[k]).width)) + 14));
    const wide = width - left - RIGHT, top = Math.max(10, ...rows.map((row) => row.high)),
      most = Math.min(180, top > 90 ? Math.ceil(top / 30) * 30 : Math.ceil(top / 10) * 10);
    const x = (degrees) => left + (degrees / most) * wide, pitch = Math.min(22, bottom / Math.max(rows.length, 1));
    for (let d = 0; d <= most; d += most > 90 ? 30 : most > 50 ? 20 : 10) {
      rule(ctx, Math.round(x(d)) + 0.5, 0, Math.round(x(d)) + 0.5, bottom + 4, css(theme.hair, 0.6));
      label(ctx, `${d}°`, x(d), bottom + 16, theme, { align: "center" });
    }
    rows.forEach(({ k, low, median, high }, row) => {
      const y = (row + 0.5) * pitch;
      label(ctx, names[k].length > 11 ? `${names[k].slice(0, 10)}…` : names[k], left - 8, y + 4, theme, { align: "right", weight: 600, ink: theme.text, size: Math.min(12, pitch + 1) });
      ctx.lineCap = "round";
      ctx.lineWidth = Math.min(8, pitch * 0.5);
      ctx.strokeStyle = css(inks[k], 0.55);
      ctx.beginPath();
      ctx.moveTo(x(low), y);
      ctx.lineTo(x(high) + 0.01, y);
      ctx.stroke();
      ctx.lineCap = "butt";
      ctx.beginPath();
      ctx.arc(x(median), y, Math.min(4.5, pitch * 0.36), 0, 2 * Math.PI);
      ctx.fillStyle = css(inks[k]);
      ctx.strokeStyle = css(theme.text);
      ctx.lineWidth = 1.3;
      ctx.fill();
      ctx.stroke();
    });
    label(ctx, `median and 10–90 % range${some ? `, the ${rows.length} widest` : ""}`, left + wide, bottom + 29, theme, { align: "right" });
  }
}
