// What a margin leaves free, measured: outlines of a second loss, faint ones between which the edge of a zone moves, and
// the narrowest strip with its width.

import { css, mix } from "./ink.js";
import { label } from "./marks.js";
import { placer } from "./overlay.js";

const FAR = 0.25; // ink of what lies behind
const LOOKS = { zone: { alpha: 1, width: 1.9 }, breath: { alpha: 0.55, width: 1 }, length: { alpha: 0.85, width: 1.3 } };
const DASHES = [[1.5, 3], [6, 3], [12, 3]]; // of a short, a middling and a long embedding
const SECOND = 0.925; // of the circle's radius: where the arcs of a second loss lie,
const RINGS = [0.85, 0.825, 0.8, 0.775, 0.75, 0.725]; // and those of draws and lengths, one inside the other
const MEASURE = 0.885; // and the narrowest strip

const dash = ({ role, of }) => (role === "length" ? DASHES[of % DASHES.length] : role === "zone" ? [7, 4] : []);

/** The edges of zones that are not filled: of a second loss, of one draw, of one length. */
export function edged(ctx, zones, view, camera, { theme, inks, dim }) {
  const { alpha, width } = LOOKS[zones.role], [near, far] = [new Map(), new Map()];
  ctx.setLineDash(dash(zones));
  ctx.lineWidth = width;
  if (dim === 2) {
    const { x, y, r } = view.main;
    for (const { k, from, to } of zones.arcs) {
      ctx.beginPath();
      ctx.arc(x, y, r * (zones.role === "zone" ? SECOND : RINGS[zones.of % RINGS.length]), -from, -to, true);
      ctx.strokeStyle = css(inks[k], alpha);
      ctx.lineWidth = 2 * width;
      ctx.stroke();
    }
  } else {
    const to = placer(view, camera, dim);
    zones.outlines.forEach((lines, k) => { for (const line of lines) trace(line, to, k, near, far); });
    for (const [paths, strength] of [[far, FAR], [near, 1]]) for (const [k, path] of paths) {
      ctx.strokeStyle = css(mix(inks[k], theme.text, 0.15), alpha * strength);
      ctx.stroke(path);
    }
  }
  ctx.setLineDash([]);
}

/** A line in the paths of its class: in front and on the maps, or behind. One part at a time: a path has one pen. */
function trace(line, to, k, near, far) {
  const path = (paths) => { if (!paths.has(k)) paths.set(k, new Path2D()); return paths.get(k); };
  const places = Array.from({ length: line.length / 3 }, (_, i) => to(line[i * 3], line[i * 3 + 1], line[i * 3 + 2]));
  for (let which = 0; which < places[0].length; which++) {
    let before = null;
    for (const { [which]: q } of places) {
      const into = path(q.near ? near : far), joined = before && before.part === q.part && before.near === q.near;
      into[joined ? "lineTo" : "moveTo"](q.x, q.y);
      before = q;
    }
  }
}

/** The narrowest strip: a line across it with an end at either zone, and how many degrees it is wide. */
export function measure(ctx, marks, view, camera, { theme, dim }) {
  const way = marks.find(({ kind }) => kind === "path"), word = marks.find(({ kind }) => kind === "points");
  if (!way || !word) return;
  const to = placer(view, camera, dim), { at3, n } = way, middle = n >> 1;
  const inside = ([place]) => { const { x, y } = view.main; return { ...place, x: x + (place.x - x) * MEASURE, y: y + (place.y - y) * MEASURE }; };
  const at = (i) => { const places = to(at3[i * 3], at3[i * 3 + 1], at3[i * 3 + 2]); return dim === 2 ? [inside(places)] : places; };
  const parts = at(middle).map(({ part }) => part);
  parts.forEach((part, which) => {
    const points = Array.from({ length: n }, (_, i) => at(i)[which]).filter((p) => p && p.part === part);
    if (points.length < 2) return;
    const { near } = at(middle)[which], path = new Path2D();
    points.forEach(({ x, y }, i) => path[i ? "lineTo" : "moveTo"](x, y));
    for (const [end, next] of [[points[0], points[1]], [points.at(-1), points.at(-2)]]) {
      const [dx, dy] = [next.x - end.x, next.y - end.y], s = 5 / (Math.hypot(dx, dy) || 1);
      path.moveTo(end.x - dy * s, end.y + dx * s);
      path.lineTo(end.x + dy * s, end.y - dx * s);
    }
    for (const [ink, width] of [[css(theme.background, near ? 0.9 : 0.3), 5], [css(theme.text, near ? 1 : 0.3), 2]]) {
      ctx.strokeStyle = ink;
      ctx.lineWidth = width;
      ctx.stroke(path);
    }
    if (!near || part) return; // one word for one strip: on the sphere, where it is in front
    const { x, y } = at(middle)[which], [first, last] = [points[0], points.at(-1)];
    const [dx, dy] = [last.x - first.x, last.y - first.y], s = 1 / (Math.hypot(dx, dy) || 1);
    const side = dim === 2 ? -Math.sign(dy * (x - view.main.x) - dx * (y - view.main.y)) || 1 : dx * s < 0 ? -1 : 1; // inwards on the circle, above on the sphere
    const [tx, ty] = [x + dy * s * 20 * side, y - dx * s * 20 * side];
    label(ctx, word.words[0], tx, ty + 4.5, theme, { align: "center", ink: theme.text, weight: 600, size: 13, halo: true });
  });
}

/** A piece of an outline as a legend shows it; `loss` is 0 for the first loss, whose zones are filled. */
export function sample(ctx, row, loss, x, y, theme) {
  const { alpha, width } = LOOKS[row.role];
  ctx.setLineDash(loss === 0 ? [] : dash(row));
  ctx.lineWidth = width;
  ctx.strokeStyle = css(theme.text, alpha);
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x + 28, y);
  ctx.stroke();
  ctx.setLineDash([]);
}
