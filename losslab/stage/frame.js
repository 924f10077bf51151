// One snapshot as it travels: decoding the binary frame, and the motion between two of them.

const MAGIC = 0x31464c4c; // "LLF1", little endian
const text = new TextDecoder();

/** Decodes one frame (an ArrayBuffer): n samples, c classes of `each` prototypes. Prototype directions come out as unit
 *  vectors [c*each 3], z = 0 on the circle. `positive` is one curve or, class after class, c of them; both curves are
 *  empty where no curve tells a place's worth. Of a `map` also the true cosines of each sample: `own`, `other`, and
 *  whose the other is. One of more than three dimensions comes with all of them as `entire`: position [n d], and the unit
 *  prototypes [c*each d]; see tour.js. */
export function decode(buffer) {
  const head = new DataView(buffer, 0, 32);
  if (head.getUint32(0, true) !== MAGIC) throw new Error("not a frame");
  const [n, c, dim] = [head.getUint32(12, true), head.getUint16(16, true), head.getUint8(18)];
  const [flags, points, json] = [head.getUint8(19), head.getUint16(20, true), head.getUint32(24, true)];
  const each = head.getUint16(22, true) || 1, rows = c * each, perClass = (flags & 4) === 4;
  let at = 32;
  const take = (Type, length) => {
    const array = new Type(buffer, at, length);
    at += (array.byteLength + 3) & ~3;
    return array;
  };
  const { scalars, knobs } = JSON.parse(text.decode(take(Uint8Array, json)));
  const raw = take(Float32Array, rows * dim);
  const frame = {
    index: head.getUint32(4, true), step: head.getUint32(8, true), n, c, each, dim, scalars, knobs,
    weighsLength: (flags & 1) === 1, changed: (flags & 2) === 2, normMax: head.getFloat32(28, true),
    positive: take(Float32Array, perClass ? c * points : points), negative: take(Float32Array, points),
    position: take(Int16Array, n * dim), norm: take(Uint16Array, n), gap: take(Int16Array, n),
    loss: take(Uint16Array, n), state: take(Uint8Array, n),
    prototype: new Float32Array(rows * 3), length: new Float32Array(rows), map: (flags & 16) === 16,
  };
  for (let p = 0; p < rows; p++) frame.length[p] = Math.hypot(...raw.subarray(p * dim, (p + 1) * dim));
  if (frame.map) Object.assign(frame, { own: take(Int16Array, n), other: take(Int16Array, n), rival: take(Uint16Array, n) });
  const unit = raw.map((value, at) => value / (frame.length[Math.floor(at / dim)] || 1));
  if (dim > 3) { // in all its dimensions: a tour gives it places on the sphere
    frame.entire = { position: frame.position, prototype: unit, n, d: dim, rows };
    frame.dim = 3;
  } else for (let p = 0; p < rows; p++) frame.prototype.set(unit.subarray(p * dim, (p + 1) * dim), p * 3);
  frame.lossMax = frame.loss.reduce((most, value) => (value > most ? value : most), 0) / 256;
  return frame;
}

const GAPS = 0x31474c4c; // "LLG1"

/** Decodes the gaps of every class all over the sphere or the circle: {index, n, gap [c v]}, see zones.js. */
export function decodeGaps(buffer) {
  const head = new DataView(buffer, 0, 16);
  if (head.getUint32(0, true) !== GAPS) throw new Error("not a grid of gaps");
  return { index: head.getUint32(4, true), n: head.getUint32(8, true), gap: Float32Array.from(new Int16Array(buffer, 16), (g) => g / 8192) };
}

/** Splits the body of a backlog answer: [u32 length][frame] ... */
export function* split(buffer) {
  const view = new DataView(buffer);
  for (let at = 0; at + 4 <= buffer.byteLength; ) {
    const length = view.getUint32(at, true);
    yield buffer.slice(at + 4, at + 4 + length);
    at += 4 + length;
  }
}

/** Directions a fraction t of the way from a to b along the sphere (the circle when z = 0), unit [n 3]. */
function slerp(ax, ay, az, bx, by, bz, t, out, o) {
  const dot = ax * bx + ay * by + az * bz;
  let u = 1 - t, v = t;
  if (dot < 0.995 && dot > -0.9999) {
    const angle = Math.acos(dot);
    u = Math.sin(u * angle);
    v = Math.sin(v * angle);
  }
  const x = u * ax + v * bx, y = u * ay + v * by, z = u * az + v * bz;
  const scale = 1 / (Math.sqrt(x * x + y * y + z * z) || 1);
  out[o] = x * scale; out[o + 1] = y * scale; out[o + 2] = z * scale;
}

/** Where everything is at a fraction t between two snapshots: direction [n 3], norm [n], prototype [c*each 3],
 *  length [c*each]; of a tour also depth [n], how much of each direction is seen, else null. */
export function between(a, b, t, out) {
  const { n, dim } = a, rows = a.length.length;
  if (out?.norm?.length !== n || out.length.length !== rows)
    out = { direction: new Float32Array(n * 3), norm: new Float32Array(n), prototype: new Float32Array(rows * 3), length: new Float32Array(rows) };
  const [p, q, d] = [a.position, b.position, out.direction];
  const [s0, s1, moving] = [a.normMax / 65535, b.normMax / 65535, t > 0];
  for (let i = 0, j = 0, o = 0; i < n; i++, j += dim, o += 3) {
    const x = p[j] / 32767, y = p[j + 1] / 32767, z = dim > 2 ? p[j + 2] / 32767 : 0;
    if (moving) slerp(x, y, z, q[j] / 32767, q[j + 1] / 32767, dim > 2 ? q[j + 2] / 32767 : 0, t, d, o);
    else { d[o] = x; d[o + 1] = y; d[o + 2] = z; }
    out.norm[i] = a.norm[i] * s0 * (1 - t) + b.norm[i] * s1 * t;
  }
  const [near, far] = [a.depth, b.depth];
  out.depth = near ? near.map((depth, i) => depth * (1 - t) + far[i] * t) : null;
  const [f, g] = [a.prototype, b.length.length === rows ? b.prototype : a.prototype]; // a later loss may have more of them
  for (let k = 0, o = 0; k < rows; k++, o += 3) {
    slerp(f[o], f[o + 1], f[o + 2], g[o], g[o + 1], g[o + 2], t, out.prototype, o);
    out.length[k] = a.length[k] * (1 - t) + (b.length[k] ?? a.length[k]) * t;
  }
  return out;
}
