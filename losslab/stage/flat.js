// Two dimensions: the circle (samples at their angle, stacked outward where they crowd) and the plane (raw embeddings
// with their lengths, where plain softmax grows its petals). A map of more dimensions is a plane of places alone: no
// lengths, no rays, and prototypes among the samples.

import { css, mix } from "./ink.js";
import { badge, dotRadius, label, nearestPrototype, prototypes, ring, Spots, star, trail } from "./marks.js";

const BINS = 720;
const GOLDEN = 0.6180339887498949;

/** How far out samples are stacked at each angle: as high as their dots need, levelling off below `most`. */
function heights(scene, radius, dot, most) {
  const count = new Float32Array(BINS), height = new Float32Array(BINS), { direction } = scene.motion;
  for (let i = 0; i < scene.n; i++) {
    if (scene.style[i] === 65535) continue;
    const turn = Math.atan2(direction[i * 3 + 1], direction[i * 3]) / (2 * Math.PI) + 1;
    count[Math.floor((turn % 1) * BINS) % BINS]++;
  }
  const kernel = [1, 2, 3, 4, 5, 4, 3, 2, 1], room = ((2 * Math.PI * radius) / BINS) * 0.8;
  for (let b = 0; b < BINS; b++) {
    let sum = 0;
    for (let w = 0; w < 9; w++) sum += kernel[w] * count[(b + w - 4 + BINS) % BINS];
    height[b] = most * (1 - Math.exp(-((sum / 25) * (2 * dot) ** 2) / room / most));
  }
  return height;
}

export class Flat {
  spots = new Spots();

  layout(width, height, camera, plane) {
    const half = Math.min(width, height) / 2 - 12;
    this.main = { x: width / 2 + camera.pan[0], y: height / 2 + camera.pan[1], half: half * camera.zoom, r: half * (plane ? 0.9 : 0.66) * camera.zoom };
  }

  draw(ctx, { width, height, dpr }, scene, camera, dots) {
    const plane = scene.show.plane, map = Boolean(scene.frame?.map), lengths = plane && !map;
    this.layout(width, height, camera, plane);
    this.spots.begin(scene.n);
    // in the plane lines run to the edge of the picture, on the circle to the circle
    this.reach = plane ? Math.hypot(width, height) + Math.hypot(...camera.pan) : this.main.r;
    this.place = plane ? this.#planePlaces(scene) : this.#circlePlaces(scene);
    if (lengths) this.#lengths(ctx, scene, false);
    this.#zones(ctx, scene, plane);
    if (!plane && scene.frame) this.#circle(ctx, scene); // before the first frame it may still become a map
    this.#dots(ctx, scene, dots.near, dpr, width, height);
    this.#prototypes(ctx, scene, plane, map);
    if (lengths) this.#lengths(ctx, scene, true);
    this.#marks(ctx, scene);
    if (scene.drawn) this.#drawn(ctx, scene, plane);
  }

  #planePlaces(scene) {
    const { x: cx, y: cy, r } = this.main, unit = r / scene.normScale;
    return (x, y, norm) => [cx + x * norm * unit, cy - y * norm * unit];
  }

  #circlePlaces(scene) {
    const { x: cx, y: cy, r } = this.main, dot = dotRadius(scene.n, 300);
    const height = heights(scene, r, dot, (this.main.half - r) * 0.92);
    return (x, y, norm, i) => {
      const at = ((Math.atan2(y, x) / (2 * Math.PI) + 1) % 1) * BINS, b = Math.floor(at), w = at - b;
      const h = height[b % BINS] * (1 - w) + height[(b + 1) % BINS] * w;
      const out = r + 3 + dot + h * ((i * GOLDEN) % 1); // an even spread by index: the same sample keeps its place in the stack
      return [cx + x * out, cy - y * out];
    };
  }

  #ray(ctx, angle, from, to) {
    const { x, y } = this.main;
    ctx.moveTo(x + from * Math.cos(angle), y - from * Math.sin(angle));
    ctx.lineTo(x + to * Math.cos(angle), y - to * Math.sin(angle));
  }

  #zones(ctx, { zones, show, inks, hidden, theme, preview, strip }, plane) {
    if (!zones) return;
    const { x, y, r } = this.main, arcs = show.zones ? zones.arcs.filter(({ k }) => !hidden.has(k)) : [];
    if (strip && show.zones) { // what no class clears: grey, and the zones laid over it
      ctx.beginPath();
      ctx.arc(x, y, r, 0, 2 * Math.PI);
      ctx.fillStyle = css(theme.text, theme.dark ? 0.12 : 0.075);
      ctx.fill();
    }
    for (const { k, from, to } of arcs) {
      ctx.beginPath();
      ctx.moveTo(x, y);
      ctx.arc(x, y, plane ? this.reach : r, -from, -to, true);
      ctx.closePath();
      if (strip) { ctx.fillStyle = css(theme.background); ctx.fill(); }
      ctx.fillStyle = css(inks[k], theme.dark ? 0.17 : 0.12);
      ctx.fill();
      ctx.beginPath();
      ctx.strokeStyle = css(inks[k]);
      if (preview) ctx.setLineDash([7, 4]);
      if (plane) {
        ctx.lineWidth = 1.5;
        this.#ray(ctx, from, 0, this.reach);
        this.#ray(ctx, to, 0, this.reach);
      } else {
        ctx.lineWidth = 9;
        ctx.arc(x, y, r - 7, -from, -to, true);
      }
      ctx.stroke();
      ctx.setLineDash([]);
    }
    if (!show.boundaries) return;
    ctx.beginPath();
    for (const angle of zones.rays) this.#ray(ctx, angle, 0, plane ? this.reach : r + 5);
    ctx.strokeStyle = css(theme.text, 0.7);
    ctx.lineWidth = 1.1;
    ctx.stroke();
  }

  #circle(ctx, { theme }) {
    const { x, y, r } = this.main;
    ctx.beginPath();
    ctx.arc(x, y, r, 0, 2 * Math.PI);
    ctx.strokeStyle = css(theme.text, 0.55);
    ctx.lineWidth = 1.2;
    ctx.stroke();
    ctx.beginPath();
    for (let i = 0; i < 12; i++) this.#ray(ctx, (i * Math.PI) / 6, r - 2, r + 2);
    ctx.stroke();
  }

  /** Rings of equal length at round values, or (drawn last, over the samples) what they are. */
  #lengths(ctx, { normScale, theme }, written) {
    const { x, y, r } = this.main, unit = r / normScale, target = 90 / unit, power = 10 ** Math.floor(Math.log10(target));
    const step = [1, 2, 5, 10].find((m) => m * power >= target) * power;
    for (let i = 1; i * step <= normScale * 1.02 && i < 40; i++) {
      if (written) {
        label(ctx, `${i === 1 ? "length " : ""}${Number((i * step).toPrecision(3))}`, x + 4, y + i * step * unit - 4, theme, { halo: true });
        continue;
      }
      ctx.beginPath();
      ctx.arc(x, y, i * step * unit, 0, 2 * Math.PI);
      ctx.strokeStyle = css(theme.text, 0.16);
      ctx.lineWidth = 1;
      ctx.stroke();
    }
  }

  #dots(ctx, scene, dots, dpr, width, height) {
    const { style, styles, order, n, theme } = scene, { direction, norm } = scene.motion, radius = dotRadius(n, 300) * dpr;
    dots.begin(Math.round(width * dpr), Math.round(height * dpr));
    const stamps = styles.map(({ shape, rgb, size = 1 }) =>
      dots.stamp(shape, rgb, mix(rgb, theme.text, 0.45), radius * size, 0.85 * dpr));
    for (let q = 0; q < n; q++) {
      const i = order ? order[q] : q;
      if (style[i] === 65535) continue;
      const [x, y] = this.place(direction[i * 3], direction[i * 3 + 1], norm[i], i);
      [this.spots.x[i], this.spots.y[i], this.spots.side[i]] = [x, y, 0];
      dots.put(x * dpr, y * dpr, stamps[style[i]]);
    }
    dots.lay(ctx);
  }

  #prototypes(ctx, scene, plane, map) {
    const { x, y, r, half } = this.main, { prototype, length } = scene.motion, out = plane ? half * 0.965 : r * 0.76;
    for (const { p, k, name, bare, radius } of prototypes(scene)) {
      const [a, b] = prototype.subarray(p * 3, p * 3 + 2), angle = Math.atan2(b, a), dim = scene.hidden.has(k) ? 0.35 : 1;
      if (map) {
        const [px, py] = this.place(a, b, length[p], 0);
        this.#badge(ctx, scene, { x: px, y: py, radius, k }, name, bare, dim);
        continue;
      }
      ctx.globalAlpha = dim;
      ctx.beginPath();
      this.#ray(ctx, angle, 0, out);
      for (const [rgb, width] of [[scene.theme.background, 4], [scene.inks[k], bare ? 1 : 2]]) {
        ctx.strokeStyle = css(rgb, width > 2 ? 0.75 : 1);
        ctx.lineWidth = width;
        ctx.stroke();
      }
      ctx.globalAlpha = 1;
      this.#badge(ctx, scene, { x: x + out * Math.cos(angle), y: y - out * Math.sin(angle), radius, k }, name, bare, dim);
    }
  }

  #badge(ctx, { inks, theme, marks }, at, name, bare, alpha) {
    badge(ctx, at.x, at.y, name, inks[at.k], theme, { radius: at.radius, bare, alpha, ring: marks.prototype === at.k });
    this.spots.badges.push(at);
  }

  #marks(ctx, scene) {
    const { marks, theme, motion } = scene, way = marks.trail, pieces = [];
    if (way && way.length > 3) {
      const steps = way.length / 3 - 1, i = marks.pin;
      let before = null;
      for (let s = 0; s <= steps; s++) {
        const [x, y, norm] = way.subarray(s * 3, s * 3 + 3), here = this.place(x, y, norm, i);
        if (before) pieces.push([...before, ...here, s / steps]);
        before = here;
      }
      trail(ctx, pieces, scene.markInk, theme);
    }
    for (const [i, firm] of [[marks.hover, false], [marks.pin, true]])
      if (i !== null && i !== undefined && i < motion.norm.length && this.spots.side[i] !== 255)
        ring(ctx, this.spots.x[i], this.spots.y[i], firm ? 7 : 6, theme, firm);
  }

  /** What the reader drew, joined to the nearest prototype: along the circle, or straight in the plane. */
  #drawn(ctx, { drawn, motion, theme, inks, each }, plane) {
    const [a, b] = drawn.direction, p = nearestPrototype(drawn.direction, motion.prototype), { x, y, r, half } = this.main;
    const angle = Math.atan2(b, a), to = Math.atan2(motion.prototype[p * 3 + 1], motion.prototype[p * 3]), out = plane ? half * 0.965 : r + 12;
    const [sx, sy] = plane ? this.place(a, b, drawn.length, 0) : [x + out * Math.cos(angle), y - out * Math.sin(angle)];
    ctx.globalAlpha = drawn.faint ? 0.35 : 1;
    ctx.beginPath();
    if (plane) { ctx.moveTo(sx, sy); ctx.lineTo(x + out * Math.cos(to), y - out * Math.sin(to)); }
    else ctx.arc(x, y, out, -angle, -to, Math.sin(to - angle) > 0);
    for (const [rgb, width] of [[theme.background, 5.5], [inks[Math.floor(p / each)], 3]]) {
      ctx.strokeStyle = css(rgb);
      ctx.lineWidth = width;
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    star(ctx, sx, sy, theme, { alpha: drawn.faint ? 0.35 : 1 });
  }

  pick(x, y) { return this.spots.pick(x, y); }
}
