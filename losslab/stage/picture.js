// The picture: one moment of a run on one canvas, and the card of what is under the pointer. It finds out for itself
// what depends on the drawing (places, zones, what is hovered); all else it reads from the stage and never changes.

import { Card } from "./card.js";
import { h } from "./dom.js";
import { layers } from "./dots.js";
import { Flat } from "./flat.js";
import { between } from "./frame.js";
import { Globe } from "./globe.js";
import { classInks, COLOURS, css } from "./ink.js";
import { label } from "./marks.js";
import { dress, drawKey, drawPreview } from "./scene.js";
import { measure, percent } from "./stats.js";
import { Zones } from "./zones.js";

const HIDDEN = 65535; // the style of a sample that is not shown

export class Picture {
  canvas = h("canvas", { className: "view", role: "img", "aria-label": "No run yet" });
  card = new Card();
  globe = new Globe();
  flat = new Flat();
  zones = new Zones();
  inks = []; // of the classes
  shown = null; // the real snapshot that is drawn: {frame, stats, style, styles, order, count}
  motion = null; // where everything is between it and the next one
  pointer = null;
  hover = null;
  #dots = layers();

  constructor(stage) { this.stage = stage; }

  get size() { return { width: this.canvas.clientWidth, height: this.canvas.clientHeight, dpr: devicePixelRatio || 1 }; }
  get both() { return this.stage.frames.length > 0 && (this.stage.options.both ?? this.size.width >= 560); }
  get many() { return this.stage.names.length > COLOURS; }
  /** Can the margin zones of what is shown be drawn, now or soon? */
  get drawable() { return Boolean(this.stage.preview) || this.zones.known || !this.stage.feed.gaps.refused; }
  get #view() { return this.stage.dim === 2 ? this.flat : this.globe; }

  /** Is sample i drawn? */
  shows = (i) => this.shown.style[i] !== HIDDEN;

  pick(x, y) { return this.#view.pick(x, y); }

  forget() {
    [this.shown, this.motion, this.hover] = [null, null, null];
    this.card.forget();
    this.card.hide();
  }

  /** Draws the moment that the stage's player is at; false while there is no room for it. */
  draw() {
    const { width, height, dpr } = this.size, { player, frames, preview, dim, stale } = this.stage;
    if (width === 0 || height === 0) return false;
    const [w, h] = [Math.round(width * dpr), Math.round(height * dpr)], index = player.index, frame = frames[index];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    if (stale || !this.shown || this.shown.frame !== frame) this.#dress(frame);
    if (frame) {
      this.motion = between(frame, frames[Math.min(index + 1, player.end)], player.still ? 0 : player.position - index, this.motion);
      if (!frame.map) this.zones.update({ ...this.motion, each: frame.each, weighs: frame.weighsLength, curves: preview ?? frame, given: this.#given(frame), dim, rough: player.moving });
    }
    this.#hovering();
    this.scene = this.#scene(frame);
    this.#paint(this.canvas.getContext("2d", { willReadFrequently: true }), { width, height, dpr }, this.#dots);
    return true;
  }

  /** Margin zones that the server worked out, where no curve can tell them; null while they are on their way. */
  #given(frame) {
    const { options, preview, feed } = this.stage;
    return !preview && options.zones && !frame.map && frame.negative.length === 0 ? feed.gaps.near(frame.index) : null;
  }

  /** What depends on the real snapshot and the reader's choices, but not on the motion or the camera. */
  #dress(frame) {
    const { names, focus, theme, options, hidden, feed, revision, lossMax } = this.stage;
    this.lit = !this.many ? names.map((_, k) => k) : focus >= 0 && frame ? [focus, ...rivals(frame, focus, feed.info.labels)] : feed?.info?.map?.chosen ?? [];
    this.inks = classInks(names.length, theme, this.lit);
    this.shown = null;
    if (!frame) return;
    const { labels, split } = feed.info, want = { train: 0, test: 1 }[options.split];
    const shows = (i) => (want === undefined || split[i] === want) && !hidden.has(labels[i]);
    if (frame.stats?.revision !== revision) frame.stats = { revision, ...measure(frame, labels, shows) };
    const dressed = dress(frame, { labels, colour: options.colour, inks: this.inks, theme, shown: shows, lossMax });
    this.shown = { frame, stats: frame.stats, ...dressed };
  }

  #scene(frame) {
    const { theme, options, hidden, names, preview, moving, normScale, pin, trail, feed, tour, pointed = -1, drawn = null } = this.stage, { inks, hover } = this;
    const lit = tour?.held ? [...this.lit, tour.held.k] : this.lit; // what is dragged wears its name
    const map = Boolean(frame?.map); // whose zones and boundaries mean nothing
    const show = { ...options, both: this.both, zones: options.zones && this.zones.known && !map, boundaries: options.boundaries && !map, plane: options.plane || map };
    const base = { theme, show, hidden, names, inks, lit, c: names.length, preview: Boolean(preview), moving, normScale,
      marks: { hover: hover?.kind === "sample" ? hover.index : pointed >= 0 ? pointed : null, prototype: hover?.kind === "prototype" ? hover.index : -1, pin, trail } };
    if (!frame) {
      return { ...base, n: 0, c: 0, each: 1, names: [], style: [], styles: [], zones: null,
        motion: { direction: new Float32Array(0), norm: [], prototype: new Float32Array(0), length: [] } };
    }
    return { ...base, n: frame.n, each: frame.each, ...this.shown, motion: this.motion, zones: this.zones, drawn,
      markInk: pin === null ? theme.text : inks[feed.info.labels[pin]] };
  }

  #paint(ctx, size, dots) {
    const { camera, options, theme, lossMax, preview, dim } = this.stage;
    ctx.setTransform(size.dpr, 0, 0, size.dpr, 0, 0);
    ctx.clearRect(0, 0, size.width, size.height);
    this.#view.draw(ctx, size, this.scene, camera, dots);
    if (!this.shown) return;
    drawKey(ctx, size.height, { colour: options.colour, theme, lossMax, share: this.shown.stats.share.map(percent) });
    if (preview) drawPreview(ctx, this.globe.main?.right && dim === 3 ? this.globe.main.right : size.width, preview.text, theme);
  }

  /** Card of what is under the pointer, or of what is pinned. Uses the places of the frame drawn before. */
  #hovering() {
    const { shown, pointer, card } = this, { pin, feed, names, sheet } = this.stage;
    const held = this.stage.tour?.held;
    this.hover = held ? { kind: "prototype", index: held.k } : shown && pointer ? this.pick(...pointer) : null;
    const target = this.hover ?? (pin !== null ? { kind: "sample", index: pin } : null);
    this.canvas.style.cursor = this.stage.tour && this.hover?.kind === "prototype" ? "move" : this.hover ? "pointer" : "grab";
    if (!shown || !target || held) { card.hide(); return; }
    const { width, height } = this.size;
    if (target.kind === "sample") card.sample(target.index, shown.frame, feed.info, names, sheet);
    else card.prototype(target.index, shown.frame, shown.stats, names);
    card.place(...(this.hover ? pointer : [0, 0]), width, height, !this.hover || this.hover.index === pin);
  }

  /** The picture as it is now on a canvas of its own, without a ground, at `dpr` pixels a point. */
  image(dpr) {
    const { width, height } = this.size, layer = h("canvas", { width: width * dpr, height: height * dpr });
    this.#paint(layer.getContext("2d"), { width, height, dpr }, layers());
    return layer;
  }

  /** The picture as a PNG at twice its size, with its name below. */
  file() {
    const { feed, theme, player } = this.stage, { width, height } = this.size, foot = 30;
    const canvas = h("canvas", { width: width * 2, height: (height + foot) * 2 });
    const ctx = canvas.getContext("2d"), title = feed?.info?.title ?? "losslab", step = this.shown?.frame.step ?? 0;
    ctx.fillStyle = css(theme.background);
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.drawImage(this.image(2), 0, 0);
    ctx.scale(2, 2);
    label(ctx, `${title} · step ${step}${player.real ? "" : " (between snapshots)"}`, width / 2, height + 18, theme, { align: "center", size: 13 });
    return new Promise((resolve) => canvas.toBlob(resolve));
  }
}

/** The two classes whose prototypes are nearest to one of class k; of a map those that most of its samples are nearest to. */
function rivals({ prototype, c, each, map, rival }, k, labels) {
  if (map) {
    const votes = new Uint32Array(c);
    labels.forEach((label, i) => { if (label === k) votes[rival[i]]++; });
    return Array.from(votes.keys()).filter((j) => votes[j] && j !== k).sort((a, b) => votes[b] - votes[a]).slice(0, 2);
  }
  const cosine = (p, q) => [0, 1, 2].reduce((sum, d) => sum + prototype[p * 3 + d] * prototype[q * 3 + d], 0);
  const own = Array.from({ length: c }, (_, j) => Array.from({ length: each }, (_, e) => j * each + e));
  const near = own.map((theirs) => Math.max(...theirs.flatMap((q) => own[k].map((p) => cosine(p, q)))));
  return near.map((_, j) => j).filter((j) => j !== k).sort((a, b) => near[b] - near[a]).slice(0, 2);
}
