// The few signs that every view draws alike: prototype badges, rings around a sample, arrow heads, small labels.

import { css, mix, readable } from "./ink.js";

/** How large a dot is in CSS pixels: fewer samples, larger dots; the ink on the page stays about the same. */
export const dotRadius = (n, size) => Math.min(4.2, Math.max(1.35, 4 * (300 / Math.max(n, 1)) ** 0.25 * Math.sqrt(size / 260)));

/** A prototype: a disc (a pill for longer names) in the class colour with the name inside. */
export function badge(ctx, x, y, name, rgb, theme, { radius = 11, alpha = 1, font = 12.5, ring = false, bare = false } = {}) {
  const label = name.length > 11 ? name.slice(0, 10) + "…" : name;
  ctx.save();
  ctx.globalAlpha = alpha;
  ctx.font = `600 ${font}px ${theme.font}`;
  const half = bare ? 0 : Math.max(0, (label.length > 1 ? ctx.measureText(label).width / 2 + 5 : 0) - radius);
  ctx.beginPath();
  ctx.arc(x - half, y, radius, Math.PI / 2, -Math.PI / 2);
  ctx.arc(x + half, y, radius, -Math.PI / 2, Math.PI / 2);
  ctx.closePath();
  ctx.fillStyle = css(rgb);
  ctx.fill();
  ctx.lineWidth = ring ? 4.5 : 2;
  ctx.strokeStyle = css(ring ? theme.text : theme.background);
  ctx.stroke();
  if (ring) { ctx.lineWidth = 2; ctx.strokeStyle = css(theme.background); ctx.stroke(); }
  if (!bare) {
    ctx.fillStyle = readable(rgb);
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillText(label, x, y + 0.5);
  }
  ctx.restore();
}

const FEW = [20, 40]; // names on the picture before they crowd: of classes, of prototypes

/** Every prototype p with its class k. Where names would crowd, only a lit class wears its own, and only once. */
export const prototypes = ({ names, c, each, lit }) => Array.from({ length: c * each }, (_, p) => {
  const k = Math.floor(p / each), crowd = c > FEW[0] && !lit.includes(k), again = p % each > 0 && c * each > FEW[1];
  return { p, k, name: names[k], bare: crowd || again, radius: crowd ? 4 : again ? 6 : 11 };
});

/** The same sample carries the same ring in every view. */
export function ring(ctx, x, y, radius, theme, firm) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.strokeStyle = css(theme.background);
  ctx.lineWidth = 4.5;
  ctx.stroke();
  ctx.strokeStyle = css(theme.text, firm ? 1 : 0.75);
  ctx.lineWidth = firm ? 2.2 : 1.6;
  ctx.stroke();
}

/** What the reader drew: a star, joined to the nearest prototype. */
export function star(ctx, x, y, theme, { radius = 11, alpha = 1 } = {}) {
  ctx.save();
  ctx.globalAlpha = alpha;
  ctx.beginPath();
  for (let i = 0; i < 10; i++) {
    const r = i % 2 ? radius * 0.45 : radius, angle = (i * Math.PI) / 5 - Math.PI / 2;
    ctx.lineTo(x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  ctx.closePath();
  ctx.lineJoin = "round";
  ctx.lineWidth = 4;
  ctx.strokeStyle = css(theme.background);
  ctx.stroke();
  ctx.fillStyle = css(theme.text);
  ctx.fill();
  ctx.restore();
}

/** The prototype nearest to a direction: its row. */
export function nearestPrototype([x, y, z = 0], prototype) {
  let [best, row] = [-Infinity, 0];
  for (let p = 0; p * 3 < prototype.length; p++) {
    const cosine = x * prototype[p * 3] + y * prototype[p * 3 + 1] + z * prototype[p * 3 + 2];
    if (cosine > best) [best, row] = [cosine, p];
  }
  return row;
}

/** The way of one sample through the snapshots: pieces of [x0, y0, x1, y1, age 0..1], oldest faint, an arrow at the end. */
export function trail(ctx, pieces, rgb, theme) {
  if (pieces.length === 0) return;
  ctx.lineCap = "round";
  for (const [colour, width] of [[theme.background, 4.6], [mix(rgb, theme.text, 0.3), 2.4]])
    for (const [x0, y0, x1, y1, age] of pieces) {
      ctx.strokeStyle = css(colour, 0.25 + 0.75 * age);
      ctx.lineWidth = width * (0.55 + 0.45 * age);
      ctx.beginPath();
      ctx.moveTo(x0, y0);
      ctx.lineTo(x1, y1);
      ctx.stroke();
    }
  // the head points along the last pixels of the way, not along its last (often tiny) piece
  const [, , endX, endY] = pieces[pieces.length - 1];
  let back = pieces.length - 1;
  while (back > 0 && Math.hypot(endX - pieces[back][0], endY - pieces[back][1]) < 16) back--;
  const angle = Math.atan2(endY - pieces[back][1], endX - pieces[back][0]);
  const [x, y] = [endX - 8 * Math.cos(angle), endY - 8 * Math.sin(angle)]; // the ring around the sample ends here
  ctx.beginPath();
  ctx.moveTo(x, y);
  for (const side of [2.6, -2.6]) ctx.lineTo(x + 9 * Math.cos(angle + side), y + 9 * Math.sin(angle + side));
  ctx.closePath();
  ctx.fillStyle = css(mix(rgb, theme.text, 0.3));
  ctx.strokeStyle = css(theme.background);
  ctx.lineWidth = 1.2;
  ctx.fill();
  ctx.stroke();
  ctx.lineCap = "butt";
}

export function label(ctx, text, x, y, theme, { align = "left", ink = theme.soft, weight = 400, size = 12, halo = false } = {}) {
  ctx.font = `${weight} ${size}px ${theme.font}`;
  ctx.textAlign = align;
  ctx.textBaseline = "alphabetic";
  if (halo) {
    ctx.strokeStyle = css(theme.background, 0.9);
    ctx.lineWidth = 3;
    ctx.lineJoin = "round";
    ctx.strokeText(text, x, y);
  }
  ctx.fillStyle = css(ink);
  ctx.fillText(text, x, y);
}

/** What lies nearest to the pointer: a prototype under it, else a sample within 12 pixels, the near side first. */
export class Spots {
  begin(n) {
    if (this.x?.length !== n) [this.x, this.y, this.side] = [new Float32Array(n), new Float32Array(n), new Uint8Array(n)];
    this.side.fill(255);
    this.badges = [];
  }

  pick(x, y, reach = 12) {
    for (let i = this.badges.length - 1; i >= 0; i--) {
      const b = this.badges[i];
      if (Math.hypot(b.x - x, b.y - y) <= b.radius) return { kind: "prototype", index: b.k };
    }
    let [best, least, side] = [-1, reach * reach, 255];
    for (let i = 0; i < this.x.length; i++) {
      const s = this.side[i];
      if (s === 255 || s > side) continue;
      const square = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      if (square < least || (s < side && square < reach * reach)) [best, least, side] = [i, square, s];
    }
    return best < 0 ? null : { kind: "sample", index: best };
  }
}
