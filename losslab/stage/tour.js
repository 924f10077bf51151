// The tour: an orthogonal projection of d dimensions on three, turned by the reader or wandering by itself.
//
// Its state is a basis, three orthonormal rows of d numbers. A direction is drawn where its part in these three dimensions
// points; the length of that part, 0 to 1, says how much of it is seen. Snapshots do not change the basis: between two of
// them only training moves points. A prototype under the hand is turned in the space of the basis and itself (the manual
// tour: Cook and Buja 1997); wandering follows geodesics between random bases (the grand tour: Asimov 1985; Buja, Cook,
// Asimov and Hurley 2005).

const NEIGHBOURS = 15, ANCHORS = 200, PAIRS = 4000; // of what is counted beside the picture
const ROUNDS = 12; // of the search for the first basis: near enough
const PACE = 0.3; // radians a second along a geodesic
const NOWHERE = 1e-6; // a shorter part points nowhere

/** Random numbers in [0, 1) that are the same every time (mulberry32). */
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const dot = (a, b) => { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum; };
const scaled = (a, s) => a.map((v) => v * s);
const plus = (a, b, s) => a.map((v, i) => v + b[i] * s);

/** Rows made orthonormal, one after the other (Gram-Schmidt, twice over against rounding). */
function orthonormal(rows) {
  const out = [];
  for (let row of rows) {
    for (let again = 0; again < 2; again++) for (const before of out) row = plus(row, before, -dot(row, before));
    out.push(scaled(row, 1 / (Math.hypot(...row) || 1)));
  }
  return out;
}

/** Three orthonormal directions of d dimensions that say nothing about the data. */
function somewhere(d, random) {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return orthonormal([0, 1, 2].map(() => Float64Array.from({ length: d }, normal)));
}

/** The three dimensions that hold most of the samples' directions, by repeated multiplication with their moments. */
function principal({ position, n, d }, basis) {
  for (let round = 0; round < ROUNDS; round++) {
    const next = basis.map(() => new Float64Array(d));
    for (let i = 0, at = 0; i < n; i++, at += d)
      for (let a = 0; a < 3; a++) {
        let along = 0;
        for (let j = 0; j < d; j++) along += position[at + j] * basis[a][j];
        for (let j = 0; j < d; j++) next[a][j] += along * position[at + j];
      }
    if (next.some((row) => !(Math.hypot(...row) > 0))) return basis;
    basis = orthonormal(next);
  }
  return basis;
}

/** The shortest way between the spaces of two bases: it ends in the space of the second, not with its axes, so that nothing
 *  spins within the picture. Every principal angle opens evenly. */
class Geodesic {
  constructor(from, to) {
    const { left, cosine, right } = svd3(from.map((a) => to.map((b) => dot(a, b))));
    this.back = left;
    this.from = mixed(left, from);
    this.angle = cosine.map((c) => Math.acos(Math.min(1, c)));
    this.aside = mixed(right, to).map((row, a) => {
      const off = plus(row, this.from[a], -dot(row, this.from[a])), size = Math.hypot(...off);
      if (size < 1e-9) this.angle[a] = 0;
      return scaled(off, size < 1e-9 ? 0 : 1 / size);
    });
    this.length = Math.max(Math.hypot(...this.angle), 1e-6); // radians
  }

  /** The basis after this share of the way, 0 to 1. */
  at(share) {
    const turned = this.from.map((row, a) => plus(scaled(row, Math.cos(share * this.angle[a])), this.aside[a], Math.sin(share * this.angle[a])));
    return orthonormal([0, 1, 2].map((a) => [0, 1, 2].reduce((row, k) => plus(row, turned[k], this.back[a][k]), scaled(turned[0], 0))));
  }
}

/** Column a of a matrix [3 3] says how much of each row goes into the new row a. */
const mixed = (matrix, rows) => [0, 1, 2].map((a) => rows.reduce((sum, row, k) => plus(sum, row, matrix[k][a]), scaled(rows[0], 0)));

/** M = left · diag(cosine) · rightᵀ of a matrix [3 3], by turning pairs of columns until they are at right angles (Jacobi). */
function svd3(M) {
  const columns = [0, 1, 2].map((a) => M.map((row) => row[a])), right = [0, 1, 2].map((a) => [0, 1, 2].map((k) => +(a === k)));
  for (let sweep = 0; sweep < 30; sweep++)
    for (const [p, q] of [[0, 1], [0, 2], [1, 2]]) {
      const [u, v] = [columns[p], columns[q]], [alpha, beta, gamma] = [dot(u, u), dot(v, v), dot(u, v)];
      if (Math.abs(gamma) < 1e-15) continue;
      const zeta = (beta - alpha) / (2 * gamma), t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
      const c = 1 / Math.sqrt(1 + t * t), s = c * t;
      for (const set of [columns, right]) [set[p], set[q]] = [plus(scaled(set[p], c), set[q], -s), plus(scaled(set[q], c), set[p], s)];
    }
  const cosine = columns.map((column) => Math.hypot(...column));
  // A column that vanished says nothing about its direction: any will do that is at right angles to the others.
  const order = [0, 1, 2].sort((a, b) => cosine[b] - cosine[a]), left = [];
  for (const a of order) {
    if (cosine[a] > 1e-9) { left[a] = scaled(columns[a], 1 / cosine[a]); continue; }
    const known = left.filter(Boolean), [some] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((e) => known.reduce((row, one) => plus(row, one, -dot(row, one)), e))
      .sort((a, b) => Math.hypot(...b) - Math.hypot(...a));
    left[a] = scaled(some, 1 / Math.hypot(...some));
  }
  const asMatrix = (found) => [0, 1, 2].map((row) => [0, 1, 2].map((a) => found[a][row]));
  return { left: asMatrix(left), cosine, right: asMatrix(right) };
}

export class Tour {
  #random = seeded(1);
  turns = 0; // how often the basis changed: what was drawn before is drawn anew
  wandering = false;
  held = null; // the prototype under the hand: {row, k}
  #leg = null;
  #gone = 0;

  /** It begins where most of the directions of `frame` are seen. */
  constructor(frame) {
    this.basis = principal(frame.entire, somewhere(frame.entire.d, this.#random));
  }

  get moving() { return this.wandering; }

  /** Gives a frame of d dimensions its places on the sphere, worked out when somebody asks for them. */
  adopt(frame) {
    const tour = this;
    Object.defineProperties(frame, {
      position: { get: () => tour.#seen(frame).position, configurable: true },
      prototype: { get: () => tour.#seen(frame).prototype, configurable: true },
      depth: { get: () => tour.#seen(frame).depth, configurable: true },
    });
    frame.placeOf = (i) => {
      const place = [0, 0, 0];
      tour.#put(frame.entire.position, i * frame.entire.d, place, 0, 1);
      return place;
    };
  }

  #put(from, at, out, o, scale) {
    const { basis: [a, b, c] } = this, d = a.length;
    let x = 0, y = 0, z = 0;
    for (let j = 0; j < d; j++) {
      const v = from[at + j];
      x += v * a[j]; y += v * b[j]; z += v * c[j];
    }
    const length = Math.sqrt(x * x + y * y + z * z);
    const s = length > NOWHERE ? scale / length : 0;
    [out[o], out[o + 1], out[o + 2]] = s ? [x * s, y * s, z * s] : [0, 0, scale];
    return length;
  }

  /** A frame under this basis: position [n 3], prototype [rows 3] and depth [n], the length of each sample's part. */
  #seen(frame) {
    const { entire } = frame;
    let seen = entire.seen;
    if (seen?.tour === this && seen.turns === this.turns) return seen;
    const { n, d, rows } = entire;
    seen ??= entire.seen = { position: new Int16Array(n * 3), prototype: new Float32Array(rows * 3), depth: new Float32Array(n) };
    [seen.tour, seen.turns] = [this, this.turns];
    let square = 0;
    for (let i = 0; i < n; i++) {
      const length = this.#put(entire.position, i * d, seen.position, i * 3, 32767) / 32767;
      seen.depth[i] = Math.min(1, length);
      square += length * length;
    }
    for (let p = 0; p < rows; p++) this.#put(entire.prototype, p * d, seen.prototype, p * 3, 1);
    seen.shown = Math.min(1, square / (n || 1));
    return seen;
  }

  // ---- turning -------------------------------------------------------------------------------------------------------

  /** Takes hold of the prototype of class k that is drawn nearest to a direction of the picture. */
  hold(frame, k, direction) {
    this.wandering = false;
    const { prototype, each } = frame;
    const near = (row) => dot(prototype.subarray(row * 3, row * 3 + 3), direction);
    const own = Array.from({ length: each }, (_, e) => k * each + e).sort((a, b) => near(b) - near(a));
    this.held = { row: own[0], k, from: direction };
  }

  /** The held prototype follows the pointer to another direction of the picture. The further it is drawn, the more of it
   *  comes into the picture, until it stands there whole; what is at right angles to its way stays as it is. */
  pull(frame, direction) {
    const { row, from } = this.held, { entire } = frame, d = entire.d;
    const axis = Float64Array.from(entire.prototype.subarray(row * d, (row + 1) * d));
    const before = this.basis.map((one) => dot(one, axis)), part = Math.hypot(...before);
    const along = Math.acos(Math.max(-1, Math.min(1, dot(from, direction))));
    if (along < 1e-4 || row >= entire.rows) return; // another snapshot, of a loss with fewer of them
    this.held.from = direction;
    const left = Math.sqrt(Math.max(0, 1 - part * part));
    const raised = Math.min(Math.PI / 2, Math.atan2(part, left) + along);
    // In the space of the basis and of what it misses of the prototype, the least turn that brings the one to the other.
    const here = part > NOWHERE ? scaled(before, 1 / part) : from;
    const there = turned(here, from, direction);
    const [start, goal] = [[...before, left], [...scaled(there, Math.sin(raised)), Math.cos(raised)]];
    const missed = this.basis.reduce((rest, one, a) => plus(rest, one, -before[a]), axis);
    const fourth = left > 1e-6 ? scaled(missed, 1 / Math.hypot(...missed)) : missed.fill(0);
    const frame4 = [...this.basis, fourth];
    this.#look([0, 1, 2].map((a) => {
      const unit = [0, 1, 2, 3].map((b) => +(a === b)), back = turned(unit, goal, start); // where the new axis lay before
      return frame4.reduce((sum, one, b) => plus(sum, one, back[b]), scaled(axis, 0));
    }));
  }

  release() { this.held = null; }

  /** On to one random basis after the other, or to the next one at once where motion is not wanted. */
  wander(still) {
    this.wandering = !this.wandering && !still;
    if (!still) return;
    this.#leg = null;
    this.#look(new Geodesic(this.basis, somewhere(this.basis[0].length, this.#random)).at(1));
  }

  tick(seconds) {
    if (!this.wandering) return;
    if (!this.#leg) [this.#leg, this.#gone] = [new Geodesic(this.basis, somewhere(this.basis[0].length, this.#random)), 0];
    this.#gone += seconds * PACE;
    const leg = this.#leg, share = Math.min(1, this.#gone / leg.length);
    this.#look(leg.at(share));
    this.#leg = share < 1 ? leg : null;
  }

  #look(basis) {
    this.basis = orthonormal(basis);
    this.turns++;
    if (!this.wandering) this.#leg = null;
  }

  // ---- how far it can be believed ------------------------------------------------------------------------------------

  /** The numbers of a map; those that take a while only `atRest`. */
  faith(frame, atRest) {
    const seen = this.#seen(frame), { entire } = frame;
    if (atRest && seen.counted !== this.turns) {
      entire.sample ??= new Sample(entire);
      [seen.counted, seen.numbers] = [this.turns, entire.sample.compare(seen.position)];
    }
    const known = seen.counted === this.turns ? seen.numbers : { map_recall: undefined, map_error_deg: undefined };
    return { ...known, map_shown: seen.shown };
  }
}

/** A vector after the least turn of the space that brings the unit vector `from` to `to` (the product of two mirrors). */
function turned(vector, from, to) {
  const sum = plus(from, to, 1), square = dot(sum, sum);
  if (square < 1e-9) return vector;
  const mirrored = plus(vector, from, -2 * dot(vector, from));
  return plus(mirrored, sum, -2 * dot(mirrored, sum) / square);
}

/** Some samples of a snapshot as they are in all dimensions: neighbours of a few, angles of some pairs. */
class Sample {
  constructor({ position, n, d }) {
    const random = seeded(0), some = () => Math.floor(random() * n);
    const cosine = (i, j) => {
      let sum = 0;
      for (let a = 0; a < d; a++) sum += position[i * d + a] * position[j * d + a];
      return sum / 32767 ** 2;
    };
    this.n = n;
    this.count = Math.min(NEIGHBOURS, n - 1);
    this.anchors = n <= ANCHORS ? Array.from({ length: n }, (_, i) => i) : Array.from({ length: ANCHORS }, some);
    this.near = this.anchors.map((i) => new Set(nearest(n, this.count, i, (j) => cosine(i, j))));
    this.pairs = Array.from({ length: PAIRS }, () => { const i = some(); return [i, (i + 1 + Math.floor(random() * (n - 1))) % n]; });
    this.angles = this.pairs.map(([i, j]) => degrees(cosine(i, j)));
  }

  /** Against their places on the sphere [n 3]. */
  compare(place) {
    const cosine = (i, j) => (place[3 * i] * place[3 * j] + place[3 * i + 1] * place[3 * j + 1] + place[3 * i + 2] * place[3 * j + 2]) / 32767 ** 2;
    let found = 0;
    this.anchors.forEach((i, a) => { for (const j of nearest(this.n, this.count, i, (j) => cosine(i, j))) if (this.near[a].has(j)) found++; });
    const off = this.pairs.map(([i, j], p) => Math.abs(degrees(cosine(i, j)) - this.angles[p])).sort((a, b) => a - b);
    return { map_recall: found / (this.anchors.length * this.count || 1), map_error_deg: off[off.length >> 1] };
  }
}

const degrees = (cosine) => (Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI;

/** The `count` nearest of n samples to sample i, by a closeness. */
function nearest(n, count, i, close) {
  const all = Float64Array.from({ length: n }, (_, j) => (j === i ? -Infinity : close(j)));
  const least = all.slice().sort()[n - count], found = [];
  for (let j = 0; j < n && found.length < count; j++) if (all[j] > least) found.push(j);
  for (let j = 0; j < n && found.length < count; j++) if (all[j] === least) found.push(j);
  return found;
}
