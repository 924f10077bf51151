// Turning one run's sphere so that its classes lie where they lie in another's: what then still differs is not a turn.

import { Camera } from "./camera.js";

/** Each class's mean prototype direction, [c 3]. */
export function places({ prototype, c, each }) {
  const mean = new Float32Array(c * 3);
  for (let p = 0; p < c * each; p++) for (let d = 0; d < 3; d++) mean[Math.floor(p / each) * 3 + d] += prototype[p * 3 + d];
  for (let k = 0; k < c; k++) {
    const scale = 1 / (Math.hypot(...mean.subarray(k * 3, k * 3 + 3)) || 1);
    for (let d = 0; d < 3; d++) mean[k * 3 + d] *= scale;
  }
  return mean;
}

/** The rotation (rows, flat [9]) that brings directions `from` [c 3] nearest to `to` [c 3] in least squares. Its unit
 *  quaternion is the eigenvector of the largest eigenvalue of a symmetric matrix (Horn 1987); squaring the matrix again
 *  and again leaves that one alone. */
export function alignment(from, to) {
  const s = (i, j) => { let sum = 0; for (let o = 0; o < from.length; o += 3) sum += from[o + i] * to[o + j]; return sum; };
  const [xx, yy, zz] = [s(0, 0), s(1, 1), s(2, 2)], above = from.length / 3; // makes the largest the largest in size too
  const [a, b, c] = [s(1, 2) - s(2, 1), s(2, 0) - s(0, 2), s(0, 1) - s(1, 0)];
  const [p, q, r] = [s(0, 1) + s(1, 0), s(2, 0) + s(0, 2), s(1, 2) + s(2, 1)];
  let N = [[xx + yy + zz + above, a, b, c], [a, xx - yy - zz + above, p, q], [b, p, yy - xx - zz + above, r], [c, q, r, zz - xx - yy + above]];
  for (let i = 0; i < 24; i++) {
    const square = N.map((row) => N[0].map((_, j) => row.reduce((sum, v, k) => sum + v * N[k][j], 0)));
    const size = Math.max(...square.flat().map(Math.abs)) || 1;
    N = square.map((row) => row.map((v) => v / size));
  }
  const column = [0, 1, 2, 3].sort((i, j) => N[j][j] - N[i][i])[0], length = Math.hypot(...N[column]) || 1;
  return Object.assign(new Camera(), { rotation: N[column].map((v) => v / length) }).matrix;
}

/** The camera that all runs share, as the run sees it that is turned by `by` first. */
export class Turned {
  by = null; // rows, flat [9]; null: not at all

  constructor(camera) { this.camera = camera; }

  get zoom() { return this.camera.zoom; }
  get pan() { return this.camera.pan; }

  get matrix() {
    const M = this.camera.matrix, R = this.by;
    if (!R) return M;
    return M.map((_, o) => { const [i, j] = [o - (o % 3), o % 3]; return M[i] * R[j] + M[i + 1] * R[3 + j] + M[i + 2] * R[6 + j]; });
  }
}
