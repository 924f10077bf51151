// What a stage and a rack have in common: one clock, one camera, the classes and samples that the reader has chosen, and
// what hands and keys do.

import { Camera } from "./camera.js";
import { mark } from "./dom.js";
import { COLOURS } from "./ink.js";
import { Kept } from "./kept.js";
import { Player } from "./player.js";

const [TURN, NUDGE] = [400, 140]; // ms of a turn that is asked for, and of one by a key

/** A kind has its `options`, `tools` and `help`, `render()`, `renew()` for when all is to be dressed again, `open` (does
 *  anything go on?), `moving`, `pinTo(sample)` and `face(ms)`, which turns the classes to the reader. */
export class Moving extends Kept {
  hidden = new Set(); // classes
  focus = -1; // the class singled out, or -1
  pin = null; // the sample that keeps its card
  tour = null; // of a run that the browser projects: how it is turned
  names = [];
  revision = 0; // of which samples are shown
  camera = new Camera();
  player = new Player();
  still = matchMedia("(prefers-reduced-motion: reduce)");
  #loop = 0;
  #last = 0;
  #paced = { frames: 0, since: 0 };

  constructor() {
    super();
    const calm = () => { this.player.still = this.still.matches; };
    this.still.addEventListener("change", () => { calm(); this.wake(); });
    calm();
  }

  themed() { this.renew(); }

  // ---- time ----------------------------------------------------------------------------------------------------------

  /** Draws soon; keeps drawing while something moves, and stops when nothing does. */
  wake() {
    if (this.#loop || !this.root.isConnected) return;
    this.#loop = requestAnimationFrame((now) => this.#turn(now));
  }

  #turn(now) {
    this.#loop = 0;
    const seconds = this.#last && now - this.#last < 250 ? (now - this.#last) / 1000 : 1 / 60;
    this.camera.tick(seconds, now);
    this.tick(seconds);
    this.render();
    this.#last = this.moving ? now : 0;
    this.#pace(now);
    if (this.moving) this.wake();
  }

  tick(seconds) { this.player.tick(seconds, this.open); }

  #pace(now) {
    const paced = this.#paced;
    if (!this.moving) paced.frames = 0;
    else if (paced.frames++ === 0) paced.since = now;
    else if (now - paced.since >= 500) {
      mark(this.root, "data-fps", Math.round(((paced.frames - 1) * 1000) / (now - paced.since)));
      [paced.frames, paced.since] = [1, now];
    }
  }

  // ---- what the reader does ------------------------------------------------------------------------------------------

  /** For hands and keys: `of()` is the stage, or the cell of a rack, on whose picture they are. */
  actions(of) {
    const relative = (disc, [x, y]) => [(x - disc.x) / disc.r, (disc.flip * (disc.y - y)) / disc.r];
    const then = (change) => (...all) => { const result = change(...all); this.wake(); return result; };
    return {
      hold: then((at) => { this.camera.hold(); this.held = null; this.#grip(of(), at); }),
      drag: then((from, to, seconds) => {
        const { picture, dim } = of();
        this.held ??= picture.globe.disc(...from);
        if (this.tour?.held) this.tour.pull(picture.shown.frame, picture.globe.direction(...to, this.camera.matrix, this.held));
        else if (dim === 2) this.camera.shift(to[0] - from[0], to[1] - from[1]);
        else this.camera.drag(relative(this.held, from), relative(this.held, to), seconds);
      }),
      release: then((heldFor) => { this.tour?.release(); this.camera.release(heldFor, this.still.matches || of().dim === 2); }),
      hover: then((x, y) => { of().picture.pointer = [x, y]; this.looking = of(); }),
      leave: then(() => { of().picture.pointer = null; }),
      click: then((x, y) => {
        this.tour?.release();
        const found = of().picture.pick(x, y);
        this.pinTo(found?.kind === "sample" ? found.index : null);
      }),
      zoom: then((factor, at) => {
        this.tour?.release(); // a second finger came: the first drags nothing any more
        const { width, height } = of()?.picture.size ?? {};
        return this.camera.scale(factor, at ? [at[0] - width / 2, at[1] - height / 2] : [0, 0]);
      }),
      turn: then((axis, degrees) => {
        if (of()?.dim === 2) this.camera.shift(-axis[1] * degrees * 3, axis[0] * -degrees * 3);
        else this.camera.rotate(axis, degrees, this.lasting(NUDGE));
      }),
      flip: then(() => this.camera.rotate([0, 1, 0], 180, this.lasting(TURN))),
      reset: () => this.reset(),
      play: then(() => this.player.toggle(this.open)),
      step: then((by) => this.player.step(by)),
      first: then(() => this.player.seek(0)),
      last: then(() => { this.player.seek(this.player.end); if (this.open) this.player.follow(); }),
      escape: then(() => { if (!this.help.hidden) this.toggleHelp(); else this.pinTo(null); }),
      help: () => this.toggleHelp(),
      wander: () => this.wander(),
      digit: (digit) => {
        const named = this.names.indexOf(digit), k = named >= 0 ? named : (Number(digit) + 9) % 10;
        if (k < this.names.length) this.isolate(k);
      },
    };
  }

  /** How long a turn takes: where motion is not wanted, no time. */
  lasting(ms = TURN) { return this.still.matches ? 0 : ms; }

  /** A press on the picture: of a tour it ends the wandering, and a prototype under it follows the hand. */
  #grip({ picture }, at) {
    const { tour, camera } = this, found = tour && picture.shown ? picture.pick(...at) : null;
    if (!tour) return;
    [tour.wandering, tour.held] = [false, null];
    if (found?.kind === "prototype") tour.hold(picture.shown.frame, found.index, picture.globe.direction(...at, camera.matrix));
  }

  wander() {
    this.tour?.wander(this.still.matches);
    this.wake();
  }

  set(name, value) {
    this.options[name] = value;
    if (name === "plane") this.#unzoom();
    this.reveal();
  }

  toggleClass(k) {
    if (!this.hidden.delete(k)) this.hidden.add(k);
    this.reveal();
  }

  /** Only class k, or all again. With more classes than colours nothing is hidden: k and its rivals get the colours. */
  isolate(k) {
    const again = this.focus === k;
    this.focus = again ? -1 : k;
    this.hidden = new Set(again || this.names.length > COLOURS ? [] : [...this.names.keys()].filter((other) => other !== k));
    this.reveal();
  }

  reveal() {
    this.revision++;
    this.renew();
  }

  reset() {
    this.#unzoom();
    this.face(this.lasting());
    this.camera.touched = false;
    this.wake();
  }

  #unzoom() { [this.camera.zoom, this.camera.pan] = [1, [0, 0]]; }

  toggleHelp() {
    this.help.hidden = !this.help.hidden;
    mark(this.tools.help, "aria-expanded", !this.help.hidden);
  }

  /** Samples of each class in the chosen split, hidden or not: they say what could be shown. */
  counts({ labels, split }) {
    const want = { train: 0, test: 1 }[this.options.split], counts = this.names.map(() => 0);
    labels.forEach((k, i) => { if (want === undefined || split[i] === want) counts[k]++; });
    return counts;
  }
}
