// The reader's eye: an orthographic camera as a unit quaternion, turned like a ball under the hand.

import { cross, seen, unit } from "./sphere.js";

const multiply = (a, b) => [
  a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
  a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
  a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
  a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
];

function turn(axis, angle) {
  const [x, y, z] = unit(axis);
  const s = Math.sin(angle / 2);
  return [Math.cos(angle / 2), x * s, y * s, z * s];
}

/** The quaternion of a rotation given by its rows (right, up, towards the reader). */
function fromRows([r, u, f]) {
  const trace = r[0] + u[1] + f[2];
  if (trace > 0) return unit([1 + trace, f[1] - u[2], r[2] - f[0], u[0] - r[1]]);
  if (r[0] > u[1] && r[0] > f[2]) return unit([f[1] - u[2], 1 + r[0] - u[1] - f[2], r[1] + u[0], r[2] + f[0]]);
  if (u[1] > f[2]) return unit([r[2] - f[0], r[1] + u[0], 1 + u[1] - r[0] - f[2], u[2] + f[1]]);
  return unit([u[0] - r[1], r[2] + f[0], u[2] + f[1], 1 + f[2] - r[0] - u[1]]);
}

/** The view in which most of the prototypes [c 3] face the reader, spread rather than on the limb; north stays up. */
function facing(prototype) {
  let [best, most] = [[0.6, -0.75, 0.3], -Infinity];
  for (let i = 0; i < 240; i++) { // a Fibonacci lattice of viewing directions, not too near the poles
    const z = 0.75 * (1 - (2 * i + 1) / 240), r = Math.sqrt(1 - z * z), angle = i * 2.399963;
    const d = [r * Math.cos(angle), r * Math.sin(angle), z];
    let sum = -0.15 * Math.abs(z);
    for (let o = 0; o < prototype.length; o += 3)
      sum += Math.sqrt(Math.max(0, d[0] * prototype[o] + d[1] * prototype[o + 1] + d[2] * prototype[o + 2]));
    if (sum > most) [best, most] = [d, sum];
  }
  const towards = unit(best), right = unit(cross([0, 0, 1], towards));
  return fromRows([right, cross(towards, right), towards]);
}

export class Camera {
  rotation = facing([0.6, -0.75, 0.3]);
  zoom = 1;
  pan = [0, 0]; // of the flat views, in pixels
  touched = false; // by the reader: then the view is no longer chosen for them
  #spin = null; // inertia: {axis, rate} in radians a second
  #move = null; // a turn under way: {from, to, start, duration}

  /** Rows of the rotation, flat [9]: view = M world, x to the right, y up, z towards the reader. */
  get matrix() {
    const [w, x, y, z] = this.rotation;
    return [
      1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
      2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
      2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)];
  }

  get moving() { return this.#spin !== null || this.#move !== null; }

  /** Turns the ball so that the place under `a` comes to `b`; both relative to the centre, in radii, y up. */
  drag(a, b, seconds) {
    const on = ([x, y]) => { // inside: the sphere itself; outside: a sheet that meets it smoothly
      const square = x * x + y * y;
      return unit([x, y, square < 0.5 ? Math.sqrt(1 - square) : 0.5 / Math.sqrt(square)]);
    };
    const [p, q] = [on(a), on(b)];
    const axis = cross(p, q), sine = Math.hypot(...axis);
    if (sine < 1e-6) return;
    const angle = Math.atan2(sine, p[0] * q[0] + p[1] * q[1] + p[2] * q[2]);
    this.#apply(turn(axis, angle));
    this.#spin = { axis, rate: 0.7 * (angle / Math.max(seconds, 0.008)) + 0.3 * (this.#spin?.rate ?? 0) };
    this.touched = true;
  }

  /** The hand lets go: the ball keeps turning a little, unless it was held still or motion is not wanted. */
  release(heldFor, still) {
    if (still || heldFor > 0.1 || (this.#spin && this.#spin.rate < 0.3)) this.#spin = null;
  }

  hold() { this.#spin = this.#move = null; }

  rotate(axis, degrees, duration) {
    this.#towards(multiply(turn(axis, degrees * Math.PI / 180), this.#move?.to ?? this.rotation), duration);
    this.touched = true;
  }

  /** Brings a direction to the front by the shortest turn, unless it is well in view already. */
  show(direction, duration) {
    const [x, y, z] = seen(this.matrix, direction);
    if (z < 0.5) this.rotate(Math.hypot(x, y) > 1e-3 ? [y, -x, 0] : [0, 1, 0], (Math.acos(Math.max(-1, z)) * 180) / Math.PI - 15, duration);
  }

  face(prototype, duration) { this.#towards(facing(prototype), duration); }

  #towards(to, duration) {
    this.#spin = null;
    this.#move = duration > 0 ? { from: this.rotation, to, start: performance.now(), duration } : null;
    if (duration <= 0) this.rotation = unit(to);
  }

  #apply(rotation) {
    this.#move = null;
    this.rotation = unit(multiply(rotation, this.rotation));
  }

  /** One frame of inertia or of a turn under way. */
  tick(seconds, now) {
    if (this.#move) {
      const { from, to, start, duration } = this.#move;
      const t = Math.min(1, (now - start) / duration), ease = t * t * (3 - 2 * t);
      const sign = from.reduce((sum, x, i) => sum + x * to[i], 0) < 0 ? -1 : 1;
      const angle = Math.acos(Math.min(1, Math.abs(from.reduce((sum, x, i) => sum + x * to[i], 0))));
      const [u, v] = angle < 1e-4 ? [1 - ease, ease] : [Math.sin((1 - ease) * angle), Math.sin(ease * angle)];
      this.rotation = unit(from.map((x, i) => u * x + v * sign * to[i]));
      if (t >= 1) this.#move = null;
    } else if (this.#spin) {
      const { axis, rate } = this.#spin;
      this.rotation = unit(multiply(turn(axis, rate * seconds), this.rotation));
      this.#spin = rate < 0.02 ? null : { axis, rate: rate * Math.exp(-seconds / 0.32) };
    }
  }

  /** Zooms about a place in pixels from the centre of the view; false when already at the limit. */
  scale(factor, at = [0, 0]) {
    const zoom = Math.min(12, Math.max(1, this.zoom * factor));
    if (zoom === this.zoom) return false;
    const ratio = zoom / this.zoom;
    this.pan = zoom === 1 ? [0, 0] : this.pan.map((p, i) => at[i] - (at[i] - p) * ratio);
    this.zoom = zoom;
    return true;
  }

  shift(dx, dy) { this.pan = [this.pan[0] + dx, this.pan[1] + dy]; }
}
