// From a snapshot and the reader's choices to what is drawn: which sample wears which sign, in which order.

import { css, rampInk } from "./ink.js";
import { label } from "./marks.js";

const LEVELS = 16; // of the loss ramp
const LEAST = 0.01; // losses below this are all "small": the ramp starts here
const HIDDEN = 65535;

const nice = (value) => { const p = 10 ** Math.floor(Math.log10(value)); return [1, 3, 10].find((m) => m * p >= value) * p; };

/** The sign of every sample: style [n] indexing `styles`, and the order of drawing (what matters most comes last). */
export function dress(frame, { labels, colour, inks, theme, shown, lossMax }) {
  const { n, state, loss } = frame, style = new Uint16Array(n).fill(HIDDEN);
  let styles, pick;
  if (colour === "gap") {
    styles = [{ shape: "disc", rgb: theme.soft, size: 0.8 }, { shape: "ring", rgb: theme.inside, size: 1.15 }, { shape: "cross", rgb: theme.wrong, size: 1.2 }];
    pick = (i) => state[i];
  } else if (colour === "loss") {
    const top = Math.log(nice(Math.max(lossMax, 1)) / LEAST);
    styles = Array.from({ length: LEVELS }, (_, s) => ({ shape: "disc", rgb: rampInk(s / (LEVELS - 1), theme) }));
    pick = (i) => Math.max(0, Math.min(LEVELS - 1, Math.floor((Math.log(Math.max(loss[i] / 256, LEAST) / LEAST) / top) * LEVELS)));
  } else {
    styles = inks.map((rgb) => ({ shape: "disc", rgb }));
    pick = (i) => labels[i];
  }
  let count = 0;
  for (let i = 0; i < n; i++) if (shown(i)) { style[i] = pick(i); count++; }
  return { style, styles, count, order: colour === "class" ? null : byStyle(style, styles.length) };
}

function byStyle(style, count) {
  const start = new Uint32Array(count + 2), order = new Uint32Array(style.length);
  const slot = (s) => (s === HIDDEN ? 0 : s + 1);
  for (const s of style) start[slot(s) + 1 <= count ? slot(s) + 1 : count + 1]++;
  for (let s = 1; s < start.length; s++) start[s] += start[s - 1];
  style.forEach((s, i) => { order[start[slot(s)]++] = i; });
  return order;
}

/** The small key in the lower left corner of the picture: what the signs of this colouring mean. */
export function drawKey(ctx, height, { colour, theme, lossMax, share }) {
  const x = 14, y = height - 14;
  if (colour === "loss") {
    const top = nice(Math.max(lossMax, 1)), wide = 132, at = (v) => x + (Math.log(v / LEAST) / Math.log(top / LEAST)) * wide;
    for (let i = 0; i < wide; i++) { ctx.fillStyle = css(rampInk(i / wide, theme)); ctx.fillRect(x + i, y - 26, 1.5, 9); }
    label(ctx, "loss (log scale)", x, y - 33, theme, { ink: theme.text, halo: true });
    label(ctx, `≤ ${LEAST}`, x, y - 2, theme, { halo: true });
    if (top > 3) label(ctx, "1", at(1), y - 2, theme, { align: "center", halo: true });
    label(ctx, String(top), x + wide, y - 2, theme, { align: "right", halo: true });
  } else if (colour === "gap") {
    const rows = [["clears the margin", theme.soft, "disc"], ["inside the margin", theme.inside, "ring"], ["wrong", theme.wrong, "cross"]];
    rows.forEach(([text, rgb, shape], i) => {
      const cy = y - 40 + i * 18;
      ctx.beginPath();
      if (shape === "cross") for (const s of [-1, 1]) { ctx.moveTo(x + 1, cy - 4 * s); ctx.lineTo(x + 9, cy + 4 * s); }
      else ctx.arc(x + 5, cy, shape === "disc" ? 3.2 : 4.2, 0, 2 * Math.PI);
      ctx.lineWidth = 2;
      ctx.strokeStyle = ctx.fillStyle = css(rgb);
      if (shape === "disc") ctx.fill(); else ctx.stroke();
      label(ctx, `${text}  ${share[i]} %`, x + 17, cy + 4, theme, { ink: theme.text, halo: true });
    });
  }
}

/** Says that the zones are those of curves not yet in force. */
export function drawPreview(ctx, right, text, theme) {
  label(ctx, text, right - 14, 24, theme, { align: "right", ink: theme.text, weight: 600, halo: true });
  const wide = ctx.measureText(text).width;
  ctx.setLineDash([7, 4]);
  ctx.strokeStyle = css(theme.text, 0.8);
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(right - 14 - wide - 38, 20);
  ctx.lineTo(right - 14 - wide - 8, 20);
  ctx.stroke();
  ctx.setLineDash([]);
}

/** All places of sample i through the snapshots, [m 3]: directions on the sphere, or x, y and length. */
export function trailOf(frames, i) {
  const way = [];
  for (const frame of frames) {
    const { dim, norm, normMax } = frame, position = frame.placeOf ? null : frame.position;
    const at = i * dim, here = frame.placeOf?.(i) ?? [position[at] / 32767, position[at + 1] / 32767, dim > 2 ? position[at + 2] / 32767 : (norm[i] / 65535) * normMax];
    const dot = way.length && dim > 2 ? way.at(-3) * here[0] + way.at(-2) * here[1] + way.at(-1) * here[2] : 1;
    const pieces = dot < 0.985 ? 8 : 1, from = way.slice(-3); // far apart: along the sphere, not through it
    for (let s = 1; s <= pieces; s++) {
      const mid = from.length ? from.map((v, d) => v + (here[d] - v) * (s / pieces)) : here;
      const r = dim > 2 ? Math.hypot(...mid) || 1 : 1;
      way.push(...mid.map((v) => v / r));
      if (from.length === 0) break;
    }
  }
  return new Float32Array(way);
}
