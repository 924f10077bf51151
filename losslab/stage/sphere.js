// Directions, as lists of three numbers.

export const unit = (v) => { const s = 1 / (Math.hypot(...v) || 1); return v.map((x) => x * s); };
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

/** A direction as a camera with this matrix sees it: to the right, up, towards the reader. */
export const seen = (M, [a, b, c]) => [M[0] * a + M[1] * b + M[2] * c, M[3] * a + M[4] * b + M[5] * c, M[6] * a + M[7] * b + M[8] * c];

/** n directions spread evenly over the circle, or over the sphere (a Fibonacci lattice). */
export function* lattice(dim, n) {
  for (let i = 0; i < n; i++) {
    const z = dim === 2 ? 0 : 1 - (2 * i + 1) / n, r = Math.sqrt(1 - z * z), angle = i * (dim === 2 ? (2 * Math.PI) / n : 2.399963);
    yield [r * Math.cos(angle), r * Math.sin(angle), z];
  }
}

/** The one of these places with most room: farthest from the nearest of `rows`. */
export function roomiest(places, rows) {
  let [best, most] = [null, -Infinity];
  for (const place of places) {
    const least = Math.min(1, ...rows.map((row) => -place.reduce((sum, v, d) => sum + v * (row[d] ?? 0), 0)));
    if (least > most) [best, most] = [place, least];
  }
  return best;
}

/** Rows of numbers as links have them. */
export const rounded = (rows) => rows.map((row) => row.map((v) => Number(v.toFixed(3))));
