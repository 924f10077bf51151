// Where each class wins, and where it wins by the margin: contours of the loss's own gap.
//
//   gap_k(u) = L_k positive_k(theta_k) - max_{j != k} L_j negative(theta_j)
//
// where theta_k is the angle to the nearest prototype of k. The margin zone of k is gap_k > 0; the plain boundaries are
// where the argmax of L_j negative changes. On the sphere both are contoured on an octahedral grid: one square grid that
// covers the sphere without poles or seams. Where gap_k depends on more than theta_k and the other angles one by one, the
// loss's own curves cannot tell it; then the server sends its values on that very grid.

const TABLE = 512, ROW = TABLE + 2;

/** Curves, one after the other, each given at `points` equal steps of the angle, resampled at equal steps of
 *  sin(angle / 2): that one needs a square root of the cosine only, no acos, and stays smooth at angle 0 where a table
 *  over the cosine would have infinite slope. */
function byChord(curves, points) {
  const count = curves.length / points, last = points - 1, table = new Float32Array(count * ROW);
  for (let i = 0; i < ROW; i++) {
    const at = (2 * Math.asin(Math.min(1, i / TABLE)) / Math.PI) * last, j = Math.min(last - 1, Math.floor(at));
    for (let row = 0, o = j; row < count; row++, o += points) table[row * ROW + i] = curves[o] + (at - j) * (curves[o + 1] - curves[o]);
  }
  return table;
}

const COSINE = Float32Array.from({ length: 257 }, (_, i) => Math.cos((i * Math.PI) / 256));
const PLAIN = { positive: COSINE, negative: COSINE }; // of a loss without curves of its own: its boundaries are the cosine's

/** What a place on the sphere is worth to each class: plain [c v] (the negatives), gap [c v], winner [v]. */
function evaluate(place, count, { prototype, each, length, positive, negative }, out) {
  const c = length.length, next = positive.length > ROW ? ROW : 0; // a table for every class, or one for all
  if (out?.winner?.length !== count || out.gap.length !== c * count)
    out = { plain: new Float32Array(c * count), gap: new Float32Array(c * count), winner: new Uint16Array(count) };
  const { plain, gap, winner } = out;
  for (let v = 0, o = 0; v < count; v++, o += 3) {
    const x = place[o], y = place[o + 1], z = place[o + 2];
    let first = -Infinity, second = -Infinity, who = 0;
    for (let k = 0, p = 0, at = v, row = 0; k < c; k++, p += 3, at += count, row += next) {
      let cosine = x * prototype[p] + y * prototype[p + 1] + z * prototype[p + 2];
      for (let more = each; more > 1; more--) {
        p += 3;
        cosine = Math.max(cosine, x * prototype[p] + y * prototype[p + 1] + z * prototype[p + 2]);
      }
      const h = cosine < 1 ? Math.sqrt((1 - cosine) * 0.5) * TABLE : 0;
      const i = h | 0, w = h - i, j = row + i;
      const n = (negative[i] + w * (negative[i + 1] - negative[i])) * length[k];
      plain[at] = n;
      gap[at] = (positive[j] + w * (positive[j + 1] - positive[j])) * length[k];
      if (n > first) { second = first; first = n; who = k; } else if (n > second) second = n;
    }
    winner[v] = who;
    for (let k = 0, at = v; k < c; k++, at += count) gap[at] -= k === who ? second : first;
  }
  return out;
}

function octahedron(n) {
  const place = new Float32Array((n + 1) ** 2 * 3);
  for (let j = 0, o = 0; j <= n; j++)
    for (let i = 0; i <= n; i++, o += 3) {
      let [x, y] = [(2 * i) / n - 1, (2 * j) / n - 1];
      const z = 1 - Math.abs(x) - Math.abs(y);
      if (z < 0) [x, y] = [(1 - Math.abs(y)) * (x < 0 ? -1 : 1), (1 - Math.abs(x)) * (y < 0 ? -1 : 1)];
      const s = 1 / Math.hypot(x, y, z);
      place[o] = x * s; place[o + 1] = y * s; place[o + 2] = z * s;
    }
  return place;
}

/** Where one zone after another ends, of gaps [c v] that were given on a grid: lines on the sphere, arcs on the circle. */
export function edges({ gap, n, classes }, dim) {
  if (dim === 2) return { arcs: arcs(gap, n, classes).found };
  const grid = Grid.of(n), v = grid.count, inside = new Uint8Array(v);
  return { outlines: Array.from({ length: classes }, (_, k) => {
    const at = k * v;
    for (let i = 0; i < v; i++) inside[i] = gap[at + i] > 0 ? 1 : 0;
    return grid.contours(inside, (a, b) => gap[at + a] / (gap[at + a] - gap[at + b]));
  }) };
}

/** On the circle, from gaps [c m] at m equal angles: arcs of {k, from, to} in radians, and classes that have none. */
function arcs(gap, m, c) {
  const step = (2 * Math.PI) / m, [found, empty] = [[], []];
  for (let k = 0; k < c; k++) {
    const g = gap.subarray(k * m, (k + 1) * m);
    const first = g.findIndex((value, i) => value > 0 && g[(i + m - 1) % m] <= 0);
    if (first < 0) {
      if (g[0] > 0) found.push({ k, from: 0, to: 2 * Math.PI });
      else empty.push(k);
      continue;
    }
    for (let i = first, start = 0; i < first + m; i++) {
      const [a, b, d] = [g[(i + m - 1) % m], g[i % m], g[(i + 1) % m]];
      if (b > 0 && a <= 0) start = i - b / (b - a);
      if (b > 0 && d <= 0) found.push({ k, from: start * step, to: (i + b / (b - d)) * step });
    }
  }
  return { found, empty };
}

const RING = 1440; // directions on the circle
const SLACK = 0.1; // how much a gap may rise between two directions of the grid
const grids = new Map();

class Grid {
  constructor(n) {
    this.n = n;
    this.count = (n + 1) ** 2;
    this.place = octahedron(n);
    this.crossing = new Float32Array(this.count * 2 * 3); // where a contour crosses each edge (v to the right, v down)
    this.next = new Int32Array(this.count * 2); // each crossing has at most two neighbours on its contour
    this.previous = new Int32Array(this.count * 2);
  }

  static of(n) {
    if (!grids.has(n)) grids.set(n, new Grid(n));
    return grids.get(n);
  }

  /** Contours as polylines (Float32Array [m 3]) between places of different `label`, [v]. `fraction(v, w)` says how far
   *  along the edge from v to w a contour crosses it; a cell crossed three times or more is a place where contours meet. */
  contours(label, fraction) {
    const { n, place, crossing, next, previous, count } = this, row = n + 1, touched = [], meetings = [];
    const cross = (edge, v, w) => {
      if (label[v] === label[w]) return -1;
      if (next[edge] === 0 && previous[edge] === 0) {
        const t = fraction(v, w), [a, b, o] = [v * 3, w * 3, edge * 3];
        const [x, y, z] = [0, 1, 2].map((d) => place[a + d] + t * (place[b + d] - place[a + d]));
        const s = 1 / Math.hypot(x, y, z);
        crossing[o] = x * s; crossing[o + 1] = y * s; crossing[o + 2] = z * s;
        next[edge] = previous[edge] = -1;
        touched.push(edge);
      }
      return edge;
    };
    // neighbours are stored + 1, so that 0 means untouched; -1 is a free end; below that a meeting
    const tie = (edge, other) => { if (next[edge] === -1) next[edge] = other; else previous[edge] = other; };
    const link = (a, b) => { tie(a, b + 1); tie(b, a + 1); };
    for (let j = 0, v = 0; j < n; j++, v++)
      for (let i = 0; i < n; i++, v++) {
        const d = v + row, q = label[v];
        if (q === label[v + 1] && q === label[d] && q === label[d + 1]) continue;
        const edges = [cross(v, v, v + 1), cross(count + v + 1, v + 1, d + 1), cross(d, d, d + 1), cross(count + v, v, d)]
          .filter((edge) => edge >= 0);
        if (edges.length === 2) link(edges[0], edges[1]);
        else if (edges.length === 4 && label[v] === label[d + 1]) { link(edges[0], edges[1]); link(edges[2], edges[3]); }
        else {
          const middle = [0, 1, 2].map((x) => edges.reduce((sum, e) => sum + crossing[e * 3 + x], 0));
          const s = 1 / Math.hypot(...middle);
          meetings.push(middle.map((x) => x * s));
          for (const edge of edges) tie(edge, -1 - meetings.length);
        }
      }
    const lines = this.#chain(touched, meetings);
    for (const edge of touched) next[edge] = previous[edge] = 0;
    return lines;
  }

  #chain(touched, meetings) {
    const { next, previous, crossing } = this, lines = [], done = new Set();
    const walk = (start) => {
      const line = [];
      let [edge, from] = [start, previous[start] < 0 ? previous[start] : next[start] < 0 ? next[start] : previous[start]];
      if (from < -1) line.push(...meetings[-from - 2]);
      while (true) {
        done.add(edge);
        line.push(crossing[edge * 3], crossing[edge * 3 + 1], crossing[edge * 3 + 2]);
        const to = previous[edge] === from ? next[edge] : previous[edge];
        if (to < 0) { if (to < -1) line.push(...meetings[-to - 2]); break; }
        from = edge + 1;
        edge = to - 1;
        if (done.has(edge)) { if (edge === start) line.push(line[0], line[1], line[2]); break; }
      }
      lines.push(new Float32Array(line));
    };
    for (const edge of touched) if (!done.has(edge) && (next[edge] < 0 || previous[edge] < 0)) walk(edge);
    for (const edge of touched) if (!done.has(edge)) walk(edge); // what is left are closed loops
    return lines;
  }
}

/** Climbs from a place towards the largest gap of class k: a zone may be smaller than a cell of the grid. */
function climb(start, k, scene) {
  let [best, place] = [-Infinity, start];
  for (let step = 0.05; step > 0.0015; step /= 2)
    for (let i = 0, around = 8; i < around; i++) {
      const [u, v] = [Math.cos(i * 0.7854) * step, Math.sin(i * 0.7854) * step];
      const [x, y, z] = place, flat = Math.abs(z) < 0.9 ? [y, -x, 0] : [0, z, -y];
      const s = 1 / Math.hypot(...flat), [a, b, c] = flat.map((f) => f * s);
      const to = [x + u * a + v * (y * c - z * b), y + u * b + v * (z * a - x * c), z + u * c + v * (x * b - y * a)];
      const r = 1 / Math.hypot(...to), unit = to.map((q) => q * r);
      const value = evaluate(unit, 1, scene).gap[k];
      if (value > best) [best, place] = [value, unit];
    }
  return best;
}

export class Zones {
  #key = null;
  #curves = null;
  #given = null;

  /** Recomputes what depends on the prototypes, their lengths and the curves, if any of them changed.
   *  `rough` halves the work while things move. Lines are those of the sphere; arcs and rays those of the circle.
   *  Without curves the zones are those of `given`, {n, gap [c v]}; without that too they are not `known`, and there
   *  are only the plain boundaries. */
  update({ prototype, length, each, weighs, curves, given, dim, rough }) {
    const weight = weighs && each === 1 ? length : new Float32Array(length.length / each).fill(1);
    const key = [dim, rough, each, ...prototype, ...weight].join();
    if (key === this.#key && curves === this.#curves && given === this.#given) return this;
    const drawable = curves.negative.length > 0;
    if (curves !== this.#curves) {
      const { positive, negative } = drawable ? curves : PLAIN;
      this.positive = byChord(positive, negative.length);
      this.negative = byChord(negative, negative.length);
    }
    const again = drawable || given !== this.#given || !this.known;
    [this.#key, this.#curves, this.#given, this.known] = [key, curves, given, drawable || Boolean(given)];
    const scene = { prototype, each, length: weight, positive: this.positive, negative: this.negative };
    this.count = weight.length;
    if (dim > 2) this.#onSphere(scene, rough, given, again); else this.#onCircle(scene, given);
    return this;
  }

  #onSphere(scene, rough, given, again) {
    const c = this.count, grid = Grid.of((rough ? 56 : 96) - (c > 12 ? 16 : 0)), v = grid.count;
    const { plain, gap, winner } = (this.values = evaluate(grid.place, v, scene, this.values));
    this.boundaries = grid.contours(winner, (a, b) => {
      const [p, q] = [winner[a] * v, winner[b] * v], rise = plain[p + a] - plain[q + a];
      return rise / (rise - plain[p + b] + plain[q + b] || 1);
    });
    if (!again) return; // the zones that were given stay where they are, however the prototypes move
    [this.outlines, this.empty] = [[], []];
    if (given) this.#outline(Grid.of(given.n), given.gap, (peak, value) => value < -SLACK);
    else if (this.known) this.#outline(grid, gap, (peak, value, k) => climb(peak, k, scene) <= 0);
  }

  /** Zones and their outlines, from the gaps on a grid. `none(peak, value, k)`: is class k, whose gap on the grid is
   *  largest at `peak` and not above zero there, without a zone between the grid's directions too? */
  #outline(grid, gap, none) {
    const v = grid.count, inside = new Uint8Array(v), zone = new Uint16Array(v);
    [this.n, this.gap] = [grid.n, gap];
    this.outlines = Array.from({ length: this.count }, (_, k) => {
      const at = k * v;
      let [any, peak] = [false, 0];
      for (let i = 0; i < v; i++) {
        const g = gap[at + i];
        if ((inside[i] = g > 0 ? 1 : 0)) { any = true; zone[i] = k + 1; }
        if (g > gap[at + peak]) peak = i;
      }
      if (any) return grid.contours(inside, (a, b) => gap[at + a] / (gap[at + a] - gap[at + b]));
      if (none(grid.place.slice(peak * 3, peak * 3 + 3), gap[at + peak], k)) this.empty.push(k);
      return [];
    });
    this.#fillCells(zone, grid.n);
  }

  /** One byte a cell for the area fill: the zone its corners agree on, or MIXED where the exact gap must be asked. */
  #fillCells(zone, n) {
    const row = n + 1;
    this.zone = zone;
    this.cell = this.cell?.length === n * n ? this.cell : new Uint16Array(n * n);
    for (let j = 0; j < n; j++)
      for (let i = 0; i < n; i++) {
        const v = j * row + i, z = zone[v];
        this.cell[j * n + i] = z === zone[v + 1] && z === zone[v + row] && z === zone[v + row + 1] ? z : Zones.MIXED;
      }
  }

  static MIXED = 65535;

  /** The zone at a direction: 0 for none, k + 1 for class k. */
  at(x, y, z) {
    const n = this.n, s = 1 / (Math.abs(x) + Math.abs(y) + Math.abs(z));
    let a = x * s, b = y * s;
    if (z < 0) { const t = a; a = (1 - Math.abs(b)) * (t < 0 ? -1 : 1); b = (1 - Math.abs(t)) * (b < 0 ? -1 : 1); }
    a = (a + 1) * 0.5 * n; b = (b + 1) * 0.5 * n;
    const i = a >= n ? n - 1 : a | 0, j = b >= n ? n - 1 : b | 0, cell = this.cell[j * n + i];
    if (cell !== Zones.MIXED) return cell;
    const v = j * (n + 1) + i, d = v + n + 1, u = a - i, w = b - j, { gap, zone } = this, size = (n + 1) * (n + 1);
    for (let corner = 0; corner < 4; corner++) {
      const k = zone[corner === 0 ? v : corner === 1 ? v + 1 : corner === 2 ? d : d + 1];
      if (k === 0) continue;
      const g = (k - 1) * size;
      const value = (gap[g + v] * (1 - u) + gap[g + v + 1] * u) * (1 - w) + (gap[g + d] * (1 - u) + gap[g + d + 1] * u) * w;
      if (value > 0) return k;
    }
    return 0;
  }

  /** On the circle: `arcs` of {k, from, to} in radians and `rays`, the angles of the plain boundaries. */
  #onCircle(scene, given) {
    const m = RING;
    this.ring ??= Float32Array.from({ length: m * 3 }, (_, o) =>
      [Math.cos((Math.floor(o / 3) * 2 * Math.PI) / m), Math.sin((Math.floor(o / 3) * 2 * Math.PI) / m), 0][o % 3]);
    const { plain, gap: own, winner } = (this.values = evaluate(this.ring, m, scene, this.values)), gap = given?.gap ?? own;
    const step = (2 * Math.PI) / m;
    this.rays = [];
    for (let i = 0; i < m; i++) {
      const j = (i + 1) % m, [p, q] = [winner[i] * m, winner[j] * m];
      if (p === q) continue;
      const rise = plain[p + i] - plain[q + i];
      this.rays.push((i + rise / (rise - plain[p + j] + plain[q + j] || 1)) * step);
    }
    const { found, empty } = this.known ? arcs(gap, m, this.count) : { found: [], empty: [] };
    [this.arcs, this.empty] = [found, empty];
  }
}
