// The circle or the sphere of a board: zones of the loss's own gap, prototypes that can be dragged, samples, arrows and
// lines along the surface. The globe and the circle are those of the stage; what lies on them comes from the server.

import { DROPS } from "./assume.js";
import { Camera } from "./camera.js";
import { bytes, h, mark, say } from "./dom.js";
import { layers } from "./dots.js";
import { Flat } from "./flat.js";
import { Globe } from "./globe.js";
import { attachHands } from "./hands.js";
import { classInks, css } from "./ink.js";
import { label } from "./marks.js";
import { edged, measure, sample } from "./band.js";
import { Overlay } from "./overlay.js";
import { lattice, roomiest, rounded, unit } from "./sphere.js";
import { edges, Zones } from "./zones.js";

const MOST = 10, FEWEST = 2; // prototypes by hand
const EMPTY = { positive: [], negative: [] }; // no curves: the server says where the zones are
const TURN = 400; // ms of a turn that the reader asks for
const NUDGE = 2; // degrees a chosen prototype moves for an arrow key
const BREATH = 160, SOON = 400; // ms from one draw of a margin to the next; until the page hears of keys that may be held

export class Ball {
  camera = new Camera();
  globe = new Globe();
  flat = new Flat();
  zones = new Zones();
  overlay = new Overlay();
  chosen = -1; // the prototype under the hand or the keys
  held = null; // the prototype under the hand, while it is there
  both = null; // the two maps beside the sphere: by default where there is room
  #loop = 0;
  #dots = layers();

  constructor(board, panel) {
    Object.assign(this, { board, panel, theme: board.theme });
    this.canvas = h("canvas", { role: "img" });
    this.hint = h("div", { className: "hint" });
    this.element = h("div", { className: "ball", tabIndex: 0, role: "application", "aria-label": "Hypersphere" }, this.canvas, this.overlay.element, this.hint);
    const tool = (text, title, onclick) => h("button", { type: "button", title, onclick }, text);
    this.sides = tool("Both sides", "Two equal-area maps beside the sphere, so that nothing is hidden", () => { this.both = !this.#bothShown; this.wake(); });
    this.more = tool("Add class", "A new prototype where there is most room", () => this.#add());
    this.less = tool("Remove class", "Take the chosen prototype away, or the last", () => this.#drop());
    this.even = tool("Spread evenly", "Prototypes as far apart as they can be", () => this.#spread());
    this.air = tool("Breathe", "Go through draws of the random margin, one after the other", () => this.#breathe());
    this.tools = [this.air, this.sides, this.more, this.less, this.even];
    this.#hands();
  }

  get #size() { return { width: this.canvas.clientWidth, height: this.canvas.clientHeight, dpr: devicePixelRatio || 1 }; }
  get #bothShown() { return this.dim === 3 && (this.both ?? this.#size.width >= 560); }
  get #view() { return this.dim === 2 ? this.flat : this.globe; }
  get #duration() { return matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : TURN; }
  get #byHand() { return !this.board.state.values.run && Boolean(this.board.state.values.prototypes); }

  /** What an export needs to know besides the values: from where the sphere is seen. */
  get stance() { return { camera: this.camera.matrix, rotation: this.camera.rotation }; }

  retheme(theme) { this.theme = theme; this.wake(); }
  resized() { this.wake(); }
  /** It is not seen any more: nothing goes on by itself. */
  rest() { if (this.breathing) this.#breathe({ done: false }); }
  remove() { this.rest(); this.shown?.(); } // whoever waits for it to be drawn waits no longer

  show({ ball }) {
    if (this.dim !== ball.dim) { this.camera = new Camera(); this.dim = ball.dim; this.turned = false; }
    this.names = ball.names;
    this.marks = ball.marks.map((mark) => decode(mark, ball.dim));
    this.overlay.fresh(this.marks);
    const [prototype] = this.marks.filter(({ role }) => role === "prototype");
    this.each = prototype.each.length / new Set(prototype.each).size;
    if (this.held === null) this.prototype = prototype.at3; // else it is where the hand is
    this.worn = this.names.map((name, k) => prototype.words[k * this.each] ?? name);
    if (!this.turned && this.dim === 3) { this.camera.face(this.prototype, 0); this.turned = true; }
    const zones = this.marks.filter(({ kind }) => kind === "zones").map((one) => ({ ...one, n: cells(one.gap.length / one.classes, this.dim) }));
    this.given = zones.filter(({ role }) => role === "zone");
    this.band = zones.filter((one) => one !== this.given[0]).map((one) => ({ ...one, ...edges(one, this.dim) }));
    this.air.hidden = !this.band.some(({ role }) => role === "breath");
    if (this.air.hidden && this.breathing) this.#breathe();
    const [samples] = this.marks.filter(({ role }) => role === "sample");
    this.samples = samples ?? null;
    for (const tool of [this.more, this.less, this.even]) tool.hidden = !this.#byHand;
    this.more.disabled = this.names.length >= MOST;
    this.less.disabled = this.names.length <= FEWEST;
    this.sides.hidden = this.dim === 2;
    return new Promise((resolve) => { this.shown = resolve; this.wake(); });
  }

  // ---- drawing -------------------------------------------------------------------------------------------------------

  wake() {
    if (!this.#loop) this.#loop = requestAnimationFrame((now) => this.#turn(now));
  }

  #turn(now) {
    this.#loop = 0;
    const seconds = this.last && now - this.last < 250 ? (now - this.last) / 1000 : 1 / 60;
    this.last = now;
    this.camera.tick(seconds, now);
    this.render();
    this.shown?.();
    this.shown = null;
    if (this.camera.moving) this.wake();
  }

  render() {
    const size = this.#size, { width, height, dpr } = size;
    if (!this.marks || !width || !height) return;
    const [w, hh] = [Math.round(width * dpr), Math.round(height * dpr)];
    if (this.canvas.width !== w || this.canvas.height !== hh) [this.canvas.width, this.canvas.height] = [w, hh];
    this.#paint(this.canvas.getContext("2d", { willReadFrequently: true }), size, this.#dots);
    mark(this.element, "data-classes", this.names.length);
    mark(this.sides, "aria-pressed", this.#bothShown);
  }

  #paint(ctx, size, dots) {
    const { theme, names, prototype, each, dim } = this, c = names.length, length = new Float32Array(c * each).fill(1);
    const inks = classInks(c, theme, this.chosen >= 0 ? [this.chosen] : []);
    const motion = { direction: this.samples?.at3 ?? new Float32Array(0), norm: new Float32Array(this.samples?.n ?? 0).fill(1), prototype, length };
    const [first] = this.given;
    const n = this.samples?.n ?? 0, style = this.samples ? Uint16Array.from(this.samples.each) : new Uint16Array(0);
    const scene = { theme, names: this.worn, inks, lit: names.map((_, k) => k), c, each, n, hidden: new Set(), preview: false, moving: this.camera.moving,
      normScale: 1, motion, style, styles: inks.map((rgb) => ({ shape: "disc", rgb, size: 0.85 })), order: null,
      zones: first ? this.zones.update({ prototype, length, each, weighs: false, curves: EMPTY, given: first, dim, rough: this.held !== null }) : null,
      strip: Boolean(first),
      show: { boundaries: true, zones: Boolean(first), both: this.#bothShown, plane: false },
      heat: this.overlay.heat(this.marks, theme, dim),
      marks: { hover: null, prototype: this.chosen < 0 ? (this.board.state.values.label ?? -1) : this.chosen, pin: null, trail: null } };
    ctx.setTransform(size.dpr, 0, 0, size.dpr, 0, 0);
    ctx.clearRect(0, 0, size.width, size.height);
    this.#view.draw(ctx, size, scene, this.camera, dots);
    const how = { theme, inks, dim, size };
    for (const one of [...this.band].reverse()) edged(ctx, one, this.#view, this.camera, how);
    this.overlay.draw(ctx, this.marks.filter(({ role }) => role !== "narrowest"), this.#view, this.camera, how);
    measure(ctx, this.marks.filter(({ role }) => role === "narrowest"), this.#view, this.camera, how);
    if (this.band.length) this.#legend(ctx, size, theme);
  }

  /** Which outline is whose: of two losses, and of what lies between draws or lengths. */
  #legend(ctx, { height }, theme) {
    const draws = this.band.filter(({ role }) => role === "breath"), lengths = this.band.filter(({ role }) => role === "length");
    const rows = [...this.given, ...lengths, ...(draws.length ? [{ ...draws[0], name: `${draws.length} draws` }] : [])];
    rows.forEach((row, i) => {
      const y = height - 34 - (rows.length - 1 - i) * 18;
      sample(ctx, row, this.given.indexOf(row), 14, y - 4, theme);
      label(ctx, row.name, 50, y, theme, { ink: theme.text, halo: true });
    });
  }

  /** The picture as a PNG at twice its size. */
  async png() {
    const { width, height } = this.#size, canvas = h("canvas", { width: width * 2, height: (height + 30) * 2 });
    const layer = h("canvas", { width: width * 2, height: height * 2 }), ctx = canvas.getContext("2d");
    this.#paint(layer.getContext("2d"), { width, height, dpr: 2 }, layers());
    ctx.fillStyle = css(this.theme.background);
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.drawImage(layer, 0, 0);
    ctx.scale(2, 2);
    label(ctx, this.panel.title.textContent, width / 2, height + 18, this.theme, { align: "center", size: 13 });
    return new Promise((resolve) => canvas.toBlob(resolve));
  }

  // ---- hands ---------------------------------------------------------------------------------------------------------

  #hands() {
    const relative = (disc, [x, y]) => [(x - disc.x) / disc.r, (disc.flip * (disc.y - y)) / disc.r];
    attachHands(this.canvas, {
      hold: (at) => {
        this.camera.hold();
        this.element.focus({ preventScroll: true });
        const found = at && this.#view.pick(...at);
        this.held = found?.kind === "prototype" && this.#byHand ? found.index : null;
        if (this.held === null && at) this.ghost = this.overlay.pick(...at);
        this.disc = null;
        this.choose(found?.kind === "prototype" ? found.index : -1);
      },
      drag: (from, to, seconds) => {
        const direction = this.direction(...to);
        if (this.held !== null && this.held !== undefined) { if (direction) this.#move(this.held, direction, false); }
        else if (this.ghost) { if (direction) this.#steer(this.ghost, direction); }
        else if (this.dim === 2) this.camera.shift(to[0] - from[0], to[1] - from[1]);
        else {
          this.disc ??= this.globe.disc(...from);
          this.camera.drag(relative(this.disc, from), relative(this.disc, to), seconds);
        }
        this.#hover(...to);
        this.wake();
      },
      release: (heldFor) => {
        if (this.held !== null && this.held !== undefined) this.#move(this.held, this.#row(this.held), true);
        else if (this.ghost) this.board.change({}, { done: true });
        else this.camera.release(heldFor, this.dim === 2 || !this.#duration);
        this.held = this.ghost = null;
        this.wake();
      },
      hover: (x, y) => this.#hover(x, y),
      leave: () => say(this.hint, this.#advice()),
      click: (x, y) => {
        const found = this.#view.pick(x, y), direction = this.direction(x, y), there = this.overlay.pick(x, y);
        this.held = this.ghost = null;
        if (found?.kind === "prototype") { this.choose(found.index); this.#assume(found.index); }
        else if (there) this.board.change({ drops: this.board.state.values.drops.filter((_, i) => i !== there.index) });
        else if (direction && "drops" in this.board.state.values) this.#dropSample(direction);
      },
      zoom: (factor, at) => {
        const { width, height } = this.#size, done = this.camera.scale(factor, at ? [at[0] - width / 2, at[1] - height / 2] : [0, 0]);
        this.wake();
        return done;
      },
      reset: () => { [this.camera.zoom, this.camera.pan] = [1, [0, 0]]; if (this.dim === 3) this.camera.face(this.prototype, this.#duration); this.wake(); },
    });
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.element) return;
    const by = event.shiftKey ? 0.25 : 1, arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const act = {
      a: () => this.#byHand && this.#add(), Delete: () => this.#byHand && this.#drop(), Backspace: () => this.#byHand && this.#drop(),
      f: () => this.camera.rotate([0, 1, 0], 180, this.#duration), "+": () => this.camera.scale(1.25), "-": () => this.camera.scale(0.8), Escape: () => this.choose(-1),
    };
    if (arrows[event.key]) this.#arrow(arrows[event.key], by);
    else if (/^[0-9]$/.test(event.key) && Number(event.key) < this.names.length) { this.choose(Number(event.key)); this.#assume(Number(event.key)); }
    else if (act[event.key]) act[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.wake();
  }

  /** An arrow key: moves the chosen prototype along the surface as it is seen, or turns the sphere. */
  #arrow([right, up], by) {
    if (this.chosen < 0 || !this.#byHand) { if (this.dim === 3) this.camera.rotate([up ? -up : 0, right, 0], 10 * by, 0); return; }
    const row = this.#rows()[this.chosen], turn = (NUDGE * by * Math.PI) / 180, M = this.camera.matrix;
    const way = this.dim === 2 ? [-row[1], row[0], 0].map((v) => v * (right ? -right : up)) : [0, 1, 2].map((d) => right * M[d] + up * M[3 + d]);
    this.#move(this.chosen, unit(row.map((v, d) => v + turn * way[d])), true, SOON);
  }

  /** Where a picture is of one class's samples, a chosen prototype says which. */
  #assume(k) { if ("label" in this.board.state.values) this.board.change({ label: k }, { wait: SOON }); }

  choose(k) {
    this.chosen = k;
    if ("chosen" in this.board.state.values && this.board.state.values.chosen !== k) this.board.change({ chosen: k }, { wait: SOON });
    this.wake();
  }

  /** Goes through the draws until it is pressed again; where motion is not wanted, to the next one only. */
  #breathe(how) {
    const { board } = this, { values } = board.state, most = this.board.data.controls.find(({ name }) => name === "draw")?.high ?? 0;
    const next = () => board.change({ draw: (board.state.values.draw % most) + 1 }, { done: false });
    if (this.breathing) {
      clearInterval(this.breathing);
      this.breathing = null;
      this.board.change({ draw: 0 }, how);
    } else if (!most) return;
    else if (!this.#duration) this.board.change({ draw: (values.draw + 1) % (most + 1) });
    else this.breathing = setInterval(next, BREATH);
    mark(this.air, "aria-pressed", Boolean(this.breathing));
  }

  /** The direction under a place on the canvas, or null beside the picture. */
  direction(x, y) {
    if (this.dim === 2) {
      const { x: cx, y: cy, r } = this.flat.main, [a, b] = [x - cx, cy - y], size = Math.hypot(a, b);
      return size < r * 0.1 ? null : [a / size, b / size, 0];
    }
    const disc = this.globe.disc(x, y), beside = Math.hypot(x - disc.x, y - disc.y) > disc.r;
    return beside && this.held === null && !this.ghost ? null : this.globe.direction(x, y, this.camera.matrix, disc);
  }

  #row(k) { return [...this.prototype.subarray(k * this.each * 3, k * this.each * 3 + 3)]; }

  /** Puts prototype k elsewhere: at once here, and with its true zones when the server has answered. */
  #move(k, direction, done, wait = 0) {
    const rows = this.#rows();
    rows[k] = direction;
    this.prototype = this.prototype.slice();
    if (k < this.names.length) for (let e = 0; e < this.each; e++) this.prototype.set(direction, (k * this.each + e) * 3);
    this.#tell(rows, done, wait);
  }

  /** The prototypes as they were last put, which the server may not have heard of yet. */
  #rows() {
    return this.board.state.values.prototypes.map((row, k) => {
      const place = [row[0], row[1], this.dim === 2 ? 0 : row[2] ?? 0];
      return Math.hypot(...place) > 1e-3 ? unit(place) : this.#row(k);
    });
  }

  #tell(rows, done = true, wait = 0) {
    this.board.change({ prototypes: rounded(rows) }, { done, wait });
  }

  /** A new prototype where there is most room: as far as may be from its nearest neighbour. */
  #add() {
    const rows = this.#rows();
    if (rows.length >= MOST) return;
    this.choose(rows.length);
    this.#tell([...rows, roomiest(lattice(this.dim, 2000), rows)]);
  }

  #drop() {
    const rows = this.#rows();
    if (rows.length <= FEWEST) return;
    const gone = this.chosen >= 0 ? this.chosen : rows.length - 1, { sizes, concentrations } = this.board.state.values;
    const without = (list) => (list ?? []).filter((_, k) => k !== gone);
    this.choose(-1);
    Object.assign(this.board.state.values, { sizes: without(sizes), concentrations: without(concentrations) });
    this.#tell(rows.filter((_, k) => k !== gone));
  }

  /** Prototypes push each other apart until they rest. */
  #spread() {
    let rows = this.#rows();
    if (this.dim === 2) {
      const turn = rows.map(([x, y], k) => [Math.atan2(y, x), k]).sort((a, b) => a[0] - b[0]);
      turn.forEach(([, k], i) => { const at = turn[0][0] + (i * 2 * Math.PI) / rows.length; rows[k] = [Math.cos(at), Math.sin(at), 0]; });
    } else for (let round = 0; round < 300; round++) {
      rows = rows.map((p, i) => {
        const push = [0, 0, 0];
        rows.forEach((q, j) => { if (i !== j) { const away = p.map((v, d) => v - q[d]), far = Math.hypot(...away) ** 3 + 1e-3; away.forEach((v, d) => { push[d] += v / far; }); } });
        return unit(p.map((v, d) => v + (0.1 * push[d]) / (1 + round / 40)));
      });
    }
    this.#tell(rows);
  }

  #dropSample(direction) {
    this.board.change({ drops: rounded([...this.board.state.values.drops, direction]).slice(-DROPS) }, { wait: SOON });
  }

  #steer({ index }, direction) {
    this.board.change({ drops: rounded(this.board.state.values.drops.with(index, direction)) }, { done: false });
  }

  #hover(x, y) {
    if (!this.marks || !this.prototype) return;
    const found = this.#view.pick(x, y), direction = this.direction(x, y);
    this.canvas.style.cursor = found?.kind === "prototype" && this.#byHand ? "move" : this.overlay.pick(x, y) ? "move" : "grab";
    if (!direction) { say(this.hint, this.#advice()); return; }
    const angles = this.names.map((name, k) => {
      let most = -1;
      for (let e = 0; e < this.each; e++) {
        const o = (k * this.each + e) * 3;
        most = Math.max(most, direction[0] * this.prototype[o] + direction[1] * this.prototype[o + 1] + direction[2] * this.prototype[o + 2]);
      }
      return [name, (Math.acos(Math.min(1, most)) * 180) / Math.PI];
    }).sort((a, b) => a[1] - b[1]);
    say(this.hint, `here: ${angles.slice(0, 3).map(([name, deg]) => `${name} ${deg.toFixed(1)}°`).join(" · ")}`);
  }

  #advice() {
    if (!this.#byHand) return "Drag to turn.";
    return "drops" in this.board.state.values ? "Drag a prototype, or click to drop a sample." : "Drag a prototype; drag beside it to turn.";
  }
}

/** Cells along the grid that v directions are. */
const cells = (v, dim) => (dim === 2 ? v : Math.round(Math.sqrt(v)) - 1);

const buffer = (text) => bytes(text).buffer;

/** A mark as it is drawn: its arrays unpacked, places in three dimensions whatever they came in. */
function decode(said, dim) {
  if (said.kind === "zones") return { ...said, gap: Float32Array.from(new Int16Array(buffer(said.gap)), (v) => v / 8192) };
  const lift = (text) => {
    const flat = new Float32Array(buffer(text)), n = flat.length / dim, out = new Float32Array(n * 3);
    for (let i = 0; i < n; i++) for (let d = 0; d < dim; d++) out[i * 3 + d] = flat[i * dim + d];
    return out;
  };
  const at3 = said.at ? lift(said.at) : null; // of the sphere's own grid only the magnitudes come
  const value = said.value ? new Float32Array(buffer(said.value)) : null;
  return { ...said, n: at3 ? at3.length / 3 : value.length, at3, along3: said.along ? lift(said.along) : null, value };
}
