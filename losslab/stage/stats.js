// What the picture says in numbers: computed from one real snapshot, never from the motion between two.

const FINE = 1800; // bins of a tenth of a degree: medians to that precision without sorting

/** Quantile of a histogram of angles, in degrees. */
function quantile(histogram, total, q) {
  let [sum, want] = [0, q * total];
  for (let b = 0; b < histogram.length; b++) {
    if (histogram[b] > 0 && sum + histogram[b] >= want)
      return ((b + (want - sum) / histogram[b]) * 180) / histogram.length;
    sum += histogram[b];
  }
  return 180;
}

/** Cosines of one sample: with the nearest of its own prototypes, with the nearest other, and whose that is. */
function nearest({ position, prototype, c, each, dim, map, own: true_own, other: true_other, rival: true_rival }, i, label) {
  if (map) return { own: true_own[i] / 32767, other: true_other[i] / 32767, rival: true_rival[i] };
  const at = i * dim, x = position[at] / 32767, y = position[at + 1] / 32767, z = dim > 2 ? position[at + 2] / 32767 : 0;
  let own = -1, other = -2, rival = -1;
  for (let k = 0, p = 0; k < c; k++)
    for (const end = p + 3 * each; p < end; p += 3) {
      const cosine = x * prototype[p] + y * prototype[p + 1] + z * prototype[p + 2];
      if (k === label) { if (cosine > own) own = cosine; }
      else if (cosine > other) { other = cosine; rival = k; }
    }
  return { own, other, rival };
}

/** Angles of one sample in degrees: to its own prototype, to the nearest other, and which that is. */
export function anglesOf(frame, i, label) {
  const { own, other, rival } = nearest(frame, i, label);
  const degrees = (cosine) => (Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI;
  return { own: degrees(own), other: degrees(other), rival };
}

/** The class other than `label` that inference ranks highest for sample i. */
export function nearestOther(frame, i, label) {
  if (frame.map) return frame.rival[i];
  const { position, prototype, length, weighsLength, c, each, dim } = frame, at = i * dim;
  let [best, who] = [-Infinity, -1];
  for (let p = 0; p < c * each; p++) {
    const k = Math.floor(p / each);
    if (k === label) continue;
    let value = 0;
    for (let d = 0; d < dim; d++) value += position[at + d] * prototype[p * 3 + d];
    if (weighsLength) value *= length[p];
    if (value > best) [best, who] = [value, k];
  }
  return who;
}

/** Statistics of the shown samples of a snapshot. `shown(i)` says whether sample i counts. */
export function measure(frame, labels, shown) {
  const { n, c, state } = frame;
  const own = new Uint32Array(FINE), other = new Uint32Array(FINE), byClass = new Uint32Array(c * FINE);
  const share = [0, 0, 0], count = new Uint32Array(c), clear = new Uint32Array(c), sum = new Float64Array(c);
  const bin = (cosine) => Math.min(FINE - 1, ((Math.acos(cosine > 1 ? 1 : cosine < -1 ? -1 : cosine) / Math.PI) * FINE) | 0);
  let total = 0;
  for (let i = 0; i < n; i++) {
    if (!shown(i)) continue;
    const label = labels[i], cosine = nearest(frame, i, label), b = bin(cosine.own);
    own[b]++;
    other[bin(cosine.other)]++;
    byClass[label * FINE + b]++;
    sum[label] += ((b + 0.5) * 180) / FINE;
    count[label]++;
    share[state[i]]++;
    if (state[i] === 0) clear[label]++;
    total++;
  }
  const classes = Array.from({ length: c }, (_, k) => {
    const histogram = byClass.subarray(k * FINE, (k + 1) * FINE), m = count[k];
    const [low, median, high] = [0.1, 0.5, 0.9].map((q) => (m ? quantile(histogram, m, q) : NaN));
    return { count: m, clear: m ? clear[k] / m : NaN, mean: m ? sum[k] / m : NaN, low, median, high };
  });
  return { total, own, other, classes, share: share.map((s) => s / (total || 1)),
    median: { own: quantile(own, total, 0.5), other: quantile(other, total, 0.5) } };
}

/** A whole percentage; what there is never rounds to nothing, "<1", and what is missing never to all, ">99". */
export function percent(share) {
  if (share > 0 && share < 0.005) return "<1";
  if (share < 1 && share > 0.995) return ">99";
  return String(Math.round(share * 100));
}

/** How far a map of more dimensions can be believed. */
export function faith({ scalars, depth }, { title, of, says }) {
  const { map_recall: recall, map_error_deg: error, map_shown: seen } = scalars;
  const angles = error === undefined ? "" : `, angles are off by ${error.toFixed(0)}° (median)`;
  const part = seen === undefined ? "" : `${percent(seen)}\u00a0% of the directions is seen${depth ? " (small dots: the least)" : ""}`;
  const near = recall === undefined ? "neighbours and angles are counted when it stands still"
    : `${percent(recall)}\u00a0% of each sample's 15 nearest neighbours are among the nearest here${angles}`;
  return `${title} of ${of} dimensions: ${[near, part].filter(Boolean).join(", ")}. ${says} `
    + "Angles in numbers are true ones, in all dimensions.";
}

/** The one sentence under the stage. */
export function sentence(frame, stats, { split, empty, unknown, names, preview }) {
  if (stats.total === 0) return `Step ${frame.step}: no samples are shown.`;
  const whose = split === "all" ? "" : `, ${split} samples`, [clear, inside, wrong] = stats.share.map(percent);
  const who = empty.length === names.length ? "any class" : empty.slice(0, 12).map((k) => names[k]).join(", ") + (empty.length > 12 ? ", …" : "");
  const none = unknown ? " This loss's margin zones depend on more than one angle: not drawn."
    : empty.length ? ` No direction clears the margin for: ${who}.` : "";
  const trained = preview ? " it was trained with" : ""; // the shares are those of the snapshot, not of the outlines shown
  return `Step ${frame.step}${whose}: own prototype ${stats.median.own.toFixed(1)}° (median), nearest other `
    + `${stats.median.other.toFixed(1)}°; ${clear}\u00a0% clear the margin${trained}, ${inside}\u00a0% inside it, ${wrong}\u00a0% wrong.${none}`;
}
