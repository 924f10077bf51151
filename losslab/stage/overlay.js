// What a board lays over the circle or the sphere: a magnitude as the ground's own ink with its scale, tangent arrows,
// lines along the surface, dropped samples with a bead that runs down their lines. The far side is faint, as everything
// there.

import { h } from "./dom.js";
import { css, mix, rampInk } from "./ink.js";
import { label } from "./marks.js";
import { seen, unit } from "./sphere.js";

const FAR = 0.16; // ink of what lies behind
const LONGEST = { push: 0.115, own: 0.16, push_prototype: 0.26 }; // of the radius: the longest arrow of each kind
const LEAST = 0.03; // of the longest: shorter ones are not drawn
const SHADES = 128; // of the ground
const TICKS = 6; // steps of a flow between two time marks
const RUN = { wait: 350, time: 1700 }; // ms until a bead sets off once nothing changes any more, and down its line
const INSIDE = 0.885, BADGE = 0.76, BAND = [1.035, 0.38]; // of the circle's radius: where arrows stand; where the ground begins, how high it grows
const SPIRAL = 0.62; // of the radius: where a line on the circle ends that began at the rim

export class Overlay {
  element = h("div", { className: "beads" });
  flows = [];
  #spots = []; // dropped samples: where they can be taken up
  #began = null; // when the beads were set off
  #flows = "";

  /** The ground's ink where a scene has magnitudes everywhere: what globe.js asks for each pixel. */
  heat(marks, theme, dim) {
    const ground = marks.find(({ role }) => role === "ground");
    if (!ground || dim === 2) return null;
    if (this.ground === ground && this.dark === theme.dark) return this.made;
    [this.ground, this.dark] = [ground, theme.dark];
    const n = Math.round(Math.sqrt(ground.n)) - 1, top = scaleOf([ground]);
    const shade = ground.value.map((value) => SHADES * Math.sqrt(Math.min(1, value / top)) + 0.5); // a pixel is between four of these
    const tint = Array.from({ length: SHADES + 1 }, (_, i) => {
      const t = i / SHADES, [r, g, b] = rampInk(t, theme);
      return ((opacity(t, theme) << 24) | (b << 16) | (g << 8) | r) >>> 0;
    });
    this.made = {
      tint,
      at: (x, y, z) => {
        const s = 1 / (Math.abs(x) + Math.abs(y) + Math.abs(z));
        let a = x * s, b = y * s;
        if (z < 0) { const t = a; a = (1 - Math.abs(b)) * (t < 0 ? -1 : 1); b = (1 - Math.abs(t)) * (b < 0 ? -1 : 1); }
        a = (a + 1) * 0.5 * n; b = (b + 1) * 0.5 * n;
        const i = Math.min(n - 1, a | 0), j = Math.min(n - 1, b | 0), u = a - i, w = b - j, v = j * (n + 1) + i;
        return ((shade[v] * (1 - u) + shade[v + 1] * u) * (1 - w) + (shade[v + n + 1] * (1 - u) + shade[v + n + 2] * u) * w) | 0;
      },
    };
    return this.made;
  }

  /** A new scene has come: when it has stayed for a moment beads set off. */
  fresh(marks) {
    const flows = marks.filter(({ role }) => role === "flow"), key = flows.map(({ at3 }) => at3.join()).join(";");
    if (key === this.#flows) return;
    this.#flows = key;
    this.#began = flows.length && !matchMedia("(prefers-reduced-motion: reduce)").matches ? performance.now() + RUN.wait : null;
    clearTimeout(this.timer);
    if (this.#began !== null) this.timer = setTimeout(() => this.#roll(), RUN.wait);
  }

  /** Beads are elements of their own: while they run nothing else is painted. */
  #roll() {
    if (!this.to) return;
    cancelAnimationFrame(this.frame);
    const share = this.#began === null ? 1 : Math.min(1, Math.max(0, (performance.now() - this.#began) / RUN.time));
    const places = this.flows.flatMap(({ mark, rgb }) => beadsAt(mark, this.to, share).map((place) => ({ ...place, rgb })));
    while (this.element.children.length > places.length) this.element.lastChild.remove();
    while (this.element.children.length < places.length) this.element.append(h("i"));
    places.forEach(({ x, y, near, rgb }, i) => {
      const { style } = this.element.children[i];
      [style.transform, style.opacity, style.borderColor] = [`translate(${x}px, ${y}px)`, near ? 1 : 0.3, css(rgb)];
    });
    if (share > 0 && share < 1) this.frame = requestAnimationFrame(() => this.#roll());
  }

  draw(ctx, marks, view, camera, { theme, inks, dim, size }) {
    const to = placer(view, camera, dim), live = ctx.canvas.isConnected, ground = marks.find(({ role }) => role === "ground");
    const tops = Object.fromEntries(Object.keys(LONGEST).map((role) => [role, scaleOf(marks.filter((one) => one.role === role))]));
    this.#spots = [];
    if (live) this.to = to;
    if (live) this.flows = marks.filter(({ role }) => role === "flow").map((mark) => ({ mark, rgb: inks[mark.of % inks.length] }));
    if (ground) {
      if (dim === 2) band(ctx, ground, view.main, theme);
      tops.push = scaleOf([ground]);
      legend(ctx, ground, size, theme);
    }
    for (const mark of marks) {
      const rgb = mark.of === null ? null : inks[mark.of % inks.length];
      if (mark.kind === "arrows") arrows(ctx, mark, tops[mark.role], to, { rgb, theme, over: ground && dim === 3 });
      else if (mark.kind === "path" && mark.role === "flow") flow(ctx, mark, to, { rgb, theme, beads: !live });
      else if (mark.kind === "path") line(ctx, mark, to, rgb, theme, ground && dim === 3);
      else if (mark.kind === "points" && mark.role === "drop") this.#drops(ctx, mark, to, inks, theme);
    }
    if (live) this.#roll();
  }

  /** Dropped samples: rings that can be taken up again. */
  #drops(ctx, { at3, n, each }, to, inks, theme) {
    for (let i = 0; i < n; i++)
      for (const { x, y, near } of to(at3[i * 3], at3[i * 3 + 1], at3[i * 3 + 2], 0)) {
        ctx.globalAlpha = near ? 1 : 0.3;
        disc(ctx, x, y, 8.5, css(theme.background), css(theme.text), 1.2);
        disc(ctx, x, y, 5.5, css(inks[(each?.[i] ?? 0) % inks.length]), css(theme.text), 1.6);
        ctx.globalAlpha = 1;
        if (near) this.#spots.push({ x, y, index: i });
      }
  }

  /** The dropped sample under the pointer, or null. */
  pick(x, y) { return this.#spots.findLast((spot) => Math.hypot(spot.x - x, spot.y - y) < 11) ?? null; }
}

/** Where a direction is drawn: on the sphere (near or far side) and on one of the maps; on the circle, on it. With
 *  `time`, 0 to 1, a line on the circle winds inwards: else it would lie on itself. */
export function placer(view, camera, dim) {
  const { x: cx, y: cy, r } = view.main;
  if (dim === 2) return (x, y, z, time = 0) => { const out = r * (1 - (1 - SPIRAL) * time); return [{ x: cx + x * out, y: cy - y * out, r, near: true, flat: true }]; };
  const M = camera.matrix, { maps } = view;
  return (...direction) => {
    const [x, y, z] = seen(M, direction);
    const places = [{ x: cx + x * r, y: cy - y * r, r, near: z >= 0, part: 0 }];
    if (maps) {
      const map = maps[z >= 0 ? 0 : 1], s = map.r / Math.sqrt(1 + Math.abs(z));
      places.push({ x: map.x + (z >= 0 ? x : -x) * s, y: map.y - y * s, r: map.r, near: true, part: z >= 0 ? 1 : 2 });
    }
    return places;
  };
}

const scales = new WeakMap(); // by the first of the marks: a picture is drawn many times

/** What full ink and full length stand for: nearly the largest of these marks' magnitudes. */
function scaleOf(marks) {
  if (!marks.length) return 1;
  if (!scales.has(marks[0])) scales.set(marks[0], measured(marks));
  return scales.get(marks[0]);
}

function measured(marks) {
  const all = marks.length === 1 ? marks[0].value : Float32Array.from(marks.flatMap(({ value }) => [...value]));
  return quantile(all, 0.98) || quantile(all, 1) || 1;
}

/** How much the ground covers what is below it. Where nothing pushes there is nothing to see. */
const opacity = (t, { dark }) => Math.round(255 * (dark ? 0.22 + 0.48 * t : 0.1 + 0.72 * t));

/** Ink that is read on the ground where it has this magnitude. */
const over = (t, { dark, background, text }) => (t > (dark ? 0.66 : 0.48) ? (dark ? [16, 18, 24] : background) : text);

/** Where a dropped sample goes: a line with a mark every few steps. */
function flow(ctx, mark, to, { rgb, theme, beads }) {
  const { at3, n } = mark, ink = mix(rgb, theme.text, 0.12);
  stroke(ctx, mark, to, css(theme.background, 0.85), 5.5);
  stroke(ctx, mark, to, css(ink), 2.8);
  for (let i = TICKS; i < n; i += TICKS) for (const { x, y, near } of to(at3[i * 3], at3[i * 3 + 1], at3[i * 3 + 2], i / (n - 1)))
    disc(ctx, x, y, 2.6, css(theme.background, near ? 1 : FAR), css(ink, near ? 1 : FAR), 1.4);
  if (beads) for (const { x, y, near } of beadsAt(mark, to, 1)) disc(ctx, x, y, 4, css(theme.text, near ? 1 : 0.3), css(rgb, near ? 1 : 0.3), 2.2);
}

/** Where the bead on a line is when it has made a share of its way, on the sphere and on the maps. */
function beadsAt({ at3, n }, to, share) {
  const place = share * (n - 1), i = Math.min(n - 2, Math.floor(place)), w = place - i;
  const at = (k) => to(at3[k * 3], at3[k * 3 + 1], at3[k * 3 + 2], k / (n - 1)), next = at(i + 1);
  return at(i).map((p, part) => {
    const q = next[part], same = q && q.part === p.part;
    return { near: p.near, x: same ? p.x + w * (q.x - p.x) : p.x, y: same ? p.y + w * (q.y - p.y) : p.y };
  });
}

/** On the circle: outside it, as high as the push is strong. */
function band(ctx, ground, { x, y, r }, theme) {
  const { at3, value, n } = ground, top = scaleOf([ground]), [from, high] = BAND, half = Math.PI / n + 0.003;
  for (let i = 0; i < n; i++) {
    const t = Math.sqrt(Math.min(1, value[i] / top)), turn = -Math.atan2(at3[i * 3 + 1], at3[i * 3]);
    ctx.beginPath();
    ctx.arc(x, y, r * from, turn - half, turn + half);
    ctx.arc(x, y, r * (from + 0.015 + high * t), turn + half, turn - half, true);
    ctx.fillStyle = css(mix(theme.background, rampInk(t, theme), opacity(t, theme) / 255)); // opaque: these overlap a little
    ctx.fill();
  }
}

/** What the ground's ink stands for: numbers beside a ramp whose steps are those of the square root. */
function legend(ctx, ground, { width, height }, theme) {
  const { name } = ground, top = scaleOf([ground]), high = Math.min(120, height * 0.22), x = 14, bottom = height - 62, w = 11;
  for (let i = 0; i < high; i++) {
    const t = i / high;
    ctx.fillStyle = css(rampInk(t, theme), opacity(t, theme) / 255);
    ctx.fillRect(x, bottom - i - 1, w, 1.2);
  }
  ctx.strokeStyle = css(theme.text, 0.4);
  ctx.lineWidth = 1;
  ctx.strokeRect(x - 0.5, bottom - high - 0.5, w + 1, high + 1);
  for (const t of [0, 0.5, 1]) {
    ctx.beginPath();
    ctx.moveTo(x + w, bottom - t * high);
    ctx.lineTo(x + w + 4, bottom - t * high);
    ctx.stroke();
    label(ctx, `${t === 1 ? "≥ " : ""}${t ? figure(t * t * top) : 0}`, x + w + 7, bottom - t * high + 4, theme, { ink: theme.text, halo: true });
  }
  if (width > 420) label(ctx, name, x, bottom + 20, theme, { ink: theme.text, halo: true });
}

const figure = (value) => (value >= 1e-3 && value < 1e4 ? String(Number(value.toPrecision(2))) : value.toExponential(0));

/** Arrows of one scale: slender heads on strokes, as long as the root of the push. */
function arrows(ctx, { at3, along3, value, n, role }, top, to, { rgb, theme, over: ground }) {
  const levels = 12, batches = new Map(), longest = LONGEST[role] ?? LONGEST.push, thick = role === "push_prototype";
  for (let i = 0; i < n; i++) {
    const o = i * 3, [a, b, c, u, v, w] = [at3[o], at3[o + 1], at3[o + 2], along3[o], along3[o + 1], along3[o + 2]];
    const share = Math.min(1, Math.sqrt(value[i] / top)), size = Math.hypot(u, v, w) || 1, step = (share * longest) / size;
    if (share < LEAST) continue;
    const tail = to(a, b, c), tip = to(...unit([a + u * step, b + v * step, c + w * step]));
    tail.forEach((from, which) => {
      let p = from, q = tip[which];
      if (!q || p.part !== q.part) return;
      if (p.flat) [p, q] = [inwards(p, to, thick ? BADGE : INSIDE), inwards(q, to, thick ? BADGE : INSIDE)];
      if (thick) [p, q] = beside(p, q, p.part ? 8 : 11);
      const key = `${Math.round(share * levels)}:${p.near}`;
      if (!batches.has(key)) batches.set(key, { shaft: new Path2D(), head: new Path2D(), share, near: p.near });
      const { shaft, head } = batches.get(key), [dx, dy] = [q.x - p.x, q.y - p.y], far = Math.hypot(dx, dy);
      if (far < 1.2) return;
      const barb = Math.min(far, thick ? 13 : Math.max(p.flat ? 7 : 4, far * 0.42)) / far, [hx, hy] = [dx * barb, dy * barb], half = thick ? 0.55 : 0.42;
      shaft.moveTo(p.x, p.y);
      shaft.lineTo(q.x - hx * 0.8, q.y - hy * 0.8);
      head.moveTo(q.x, q.y);
      head.lineTo(q.x - hx + half * hy, q.y - hy - half * hx);
      head.lineTo(q.x - hx - half * hy, q.y - hy + half * hx);
      head.closePath();
    });
  }
  ctx.lineCap = "round";
  for (const { shaft, head, share, near } of batches.values()) {
    const ink = rgb ? mix(rgb, theme.text, thick ? 0.25 : 0.1) : ground ? over(share, theme) : rampInk(share, theme), alpha = near ? (ground && !rgb ? 0.55 + 0.4 * share : 1) : FAR;
    if (thick) {
      [ctx.strokeStyle, ctx.lineWidth] = [css(theme.background, near ? 0.9 : FAR), 7.5];
      ctx.stroke(shaft);
      ctx.lineWidth = 3.5;
      ctx.stroke(head);
    }
    ctx.strokeStyle = ctx.fillStyle = css(ink, alpha);
    ctx.lineWidth = thick ? 4 : near ? 1.4 : 1;
    ctx.stroke(shaft);
    ctx.fill(head);
  }
  ctx.lineCap = "butt";
}

/** On the circle arrows stand inside it, beside the ground, and those of prototypes at their names. */
function inwards(place, to, share) {
  const [{ x: cx, y: cy }] = to(0, 0, 0);
  return { ...place, x: cx + (place.x - cx) * share, y: cy + (place.y - cy) * share };
}

/** An arrow that begins at the edge of a badge, so that the name in it can be read. */
function beside(p, q, radius) {
  const [dx, dy] = [q.x - p.x, q.y - p.y], s = radius / (Math.hypot(dx, dy) || 1);
  return [{ ...p, x: p.x + dx * s, y: p.y + dy * s }, { ...q, x: q.x + dx * s, y: q.y + dy * s }];
}

const LOOKS = { profile: { width: 1.6, alpha: 0.75, dash: [2, 5] }, stream: { width: 1.5, alpha: 0.8 }, breath: { width: 1, alpha: 0.4 } };

function line(ctx, mark, to, rgb, theme, ground) {
  const { width = 1.8, alpha = 1, dash } = LOOKS[mark.role] ?? {}, ink = rgb ?? theme.text;
  if (mark.role === "stream" && ground) stroke(ctx, mark, to, css(theme.background, 0.55), width + 1.6);
  if (dash) ctx.setLineDash(dash);
  stroke(ctx, mark, to, css(ink, alpha), width);
  if (dash) ctx.setLineDash([]);
}

/** A line along the surface: solid in front, faint behind, cut where it leaves a map. */
function stroke(ctx, { at3, n, role }, to, ink, width) {
  const near = new Path2D(), far = new Path2D(), timed = role === "flow";
  let before = null;
  for (let i = 0; i < n; i++) {
    const here = Number.isNaN(at3[i * 3]) ? null : to(at3[i * 3], at3[i * 3 + 1], at3[i * 3 + 2], timed ? i / (n - 1) : 0);
    if (here && before) here.forEach((q, which) => {
      const p = before[which];
      if (!p || p.part !== q.part || (p.part && Math.hypot(p.x - q.x, p.y - q.y) > q.r * 0.5)) return;
      const path = q.near ? near : far;
      path.moveTo(p.x, p.y);
      path.lineTo(q.x, q.y);
    });
    before = here;
  }
  ctx.strokeStyle = ink;
  ctx.lineWidth = width;
  ctx.lineCap = "round";
  ctx.stroke(near);
  ctx.globalAlpha = FAR;
  ctx.stroke(far);
  ctx.globalAlpha = 1;
  ctx.lineCap = "butt";
}

function disc(ctx, x, y, radius, fill, edge, width) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.fillStyle = fill;
  ctx.fill();
  ctx.lineWidth = width;
  ctx.strokeStyle = edge;
  ctx.stroke();
}

function quantile(values, q) {
  if (!values?.length) return 0;
  const sorted = Float32Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}
