// The stage of losslab: mounts, keeps and wires what surrounds the live picture (picture.js draws it). See contracts of
// the frame in frame.js, feed.js.
//
// Streamlit calls the default export again at every change of data or theme, and may unmount and remount it when reruns
// overlap; so a stage lives in a map under its own key and is only ever re-appended ("parked"), never rebuilt.

import { Camera } from "./camera.js";
import { Charts } from "./charts.js";
import { Dial } from "./dial.js";
import { fileName, h, mark, say, short, spoken } from "./dom.js";
import { Feed, FINISHED } from "./feed.js";
import { Gallery, grouped, GROUPS } from "./gallery.js";
import { attachHands, attachKeys } from "./hands.js";
import { readTheme } from "./ink.js";
import { applyTheme, explain, helpPanel, Legend, STATES, toolbar } from "./layout.js";
import { Pad } from "./pad.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { chosen, drawing, numbers, page, paper, Saves } from "./saves.js";
import { trailOf } from "./scene.js";
import * as contact from "./sheet.js";
import { faith, sentence } from "./stats.js";
import { Timeline } from "./timeline.js";
import { Tour } from "./tour.js";
import { wear } from "./worn.js";

const stages = new Map();
const KEPT = 6; // parked stages whose frames stay in memory
const AWAY = 4000; // ms a stage may be unmounted before it stops following its run
const AT_REST = 600; // ms without a change, after which the page is told what is looked at

export default function mount({ data, parentElement, setStateValue }) {
  let stage = stages.get(data.key);
  if (!stage) stage = new Stage();
  stages.delete(data.key);
  stages.set(data.key, stage); // last in the map: most recently used
  for (const [key, old] of stages) {
    if (stages.size <= KEPT) break;
    if (old.root.isConnected) continue;
    old.away();
    stages.delete(key);
  }
  stage.attach(parentElement);
  stage.update(data, setStateValue);
  return () => stage.detach(parentElement);
}

class Stage {
  options = { colour: "class", split: "all", boundaries: true, zones: true, both: null, plane: false };
  hidden = new Set(); // classes
  focus = -1; // the class singled out, or -1
  pin = null; // the sample that keeps its card, and the way it came
  trail = null;
  tour = null; // of a run that the browser projects: how it is turned
  pointed = -1; // the sample looked at in the gallery, or -1
  camera = new Camera();
  player = new Player();
  picture = new Picture(this);
  frames = [];
  names = [];
  revision = 0; // of which samples are shown
  #loop = 0;
  #paced = { frames: 0, since: 0 };
  #spoken = 0;

  constructor() {
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.still.addEventListener("change", () => { this.player.still = this.pad.still = this.still.matches; this.wake(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.root.isConnected && this.#retheme());
    this.#build();
    this.player.still = this.pad.still = this.still.matches;
    this.resized = new ResizeObserver(() => { this.stale = true; this.render(); });
    this.resized.observe(this.picture.canvas);
    this.resized.observe(this.charts.element);
  }

  // ---- elements ------------------------------------------------------------------------------------------------------

  #build() {
    const change = () => this.wake();
    this.banner = h("div", { className: "banner", role: "status", hidden: true });
    this.help = helpPanel();
    const box = h("div", { className: "picture-box", tabIndex: 0, role: "application",
      "aria-label": "Embeddings on the hypersphere. Arrow keys turn it, plus and minus zoom, space plays, question mark lists all keys." },
      this.picture.canvas, this.picture.card.element, this.banner, this.help);
    this.dial = new Dial({ onturn: () => { this.dialled = this.dial.preview; this.wake(); }, onset: (name, value) => this.set?.("dial", { name, value }) });
    this.charts = new Charts({ onseek: (steps, step) => this.#seekStep(steps, step) });
    this.timeline = new Timeline(this.player, { onchange: change, open: () => this.#open });
    this.legend = new Legend({ ontoggle: (k) => this.#toggleClass(k), onisolate: (k) => this.#isolate(k) });
    this.saves = new Saves("the run at this snapshot", (kind) => this.#file(kind), { send: () => this.#sent() });
    this.tools = toolbar(this.options, { set: (name, value) => this.#set(name, value), reset: () => this.#reset(),
      help: () => this.#toggleHelp(), saves: this.saves.element });
    this.wanders = h("button", { type: "button", className: "toggle", hidden: true, title: "Turn through all dimensions by itself (t)",
      onclick: () => this.#wander() }, "Wander");
    this.tools.element.querySelector(".toggles").append(this.wanders);
    this.gallery = new Gallery({ onpin: (i) => { this.#pinTo(i === this.pin ? null : i); this.wake(); }, onpoint: (i) => { this.pointed = i; this.wake(); },
      onchange: () => { this.galleryStale = true; this.wake(); }, onsave: (kind) => this.#sheet(kind) });
    this.pad = new Pad({ onchange: change, onplaced: (direction) => {
      if (this.dim === 3) this.camera.show(direction, this.still.matches ? 0 : 400);
      this.wake();
    } });
    this.side = h("div", { className: "side", hidden: true }, this.pad.element, this.gallery.element);
    this.title = h("span", { className: "title" });
    this.badge = h("span", { className: "badge" });
    this.knobs = h("span", { className: "knobs" });
    this.finding = h("p", { className: "finding" });
    this.faith = h("p", { className: "faith", hidden: true });
    this.spoken = h("p", { className: "spoken", "aria-live": "polite" });
    this.head = h("div", { className: "head" }, this.title, this.badge, this.knobs, this.dial.element);
    this.body = h("div", { className: "body" },
      h("div", { className: "left" }, box, this.legend.element), this.side, this.charts.element);
    this.root = h("div", { className: "losslab-stage", "data-testid": "stage" },
      this.head, this.tools.element, this.body, this.timeline.element, this.saves.problem, this.finding, this.faith, this.spoken);
    const act = this.#actions();
    attachHands(this.picture.canvas, act);
    attachKeys(this.root, act);
    wear(this.root, ["stage.css", "saves.css"], () => { this.stale = true; this.render(); });
  }

  // ---- life ----------------------------------------------------------------------------------------------------------

  attach(parent) {
    clearTimeout(this.leaving);
    if (this.root.parentNode !== parent) parent.append(this.root);
    this.#retheme();
    this.feed?.start();
  }

  detach(parent) {
    if (this.root.parentNode !== parent && this.root.isConnected) return; // already at its new place
    this.root.remove();
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => this.away(), AWAY);
  }

  away() {
    if (!this.root.isConnected) this.feed?.stop();
  }

  #retheme() {
    this.theme = readTheme(this.root.getRootNode().host ?? this.root.parentElement ?? document.documentElement);
    applyTheme(this.root, this.theme);
    this.stale = true;
    this.wake();
  }

  update(data, setStateValue) {
    this.set = setStateValue;
    const before = this.data;
    this.data = data;
    const { positive, negative, text } = data.preview ?? {};
    this.asked = positive ? { positive: Float32Array.from(positive), negative: Float32Array.from(negative), text } : null;
    this.dial.update(data.dial ?? null);
    if (!before) this.#furnish(data);
    else if (before.run !== data.run) this.start = null; // what the link said was of another run
    const other = !before || ["run", "base", "map"].some((name) => before[name] !== data[name]);
    if (other) this.#open_run(data);
    else if (before.replay !== data.replay && !this.#open) { this.player.seek(0); if (!this.still.matches) this.player.toggle(false); }
    this.#report();
    this.wake();
  }

  /** What the page wants beside the picture, and where its link says to begin: {sample, groups, mislabelled, split, step}. */
  #furnish({ gallery = false, pad = false, start = null, alone = false }) {
    if (alone) this.saves.alone();
    this.side.hidden = !gallery && !pad;
    this.gallery.element.hidden = !gallery;
    mark(this.root, "data-side", !this.side.hidden);
    if (gallery) this.root.append(this.charts.element); // the gallery takes their place
    this.start = start;
    if (!start) return;
    this.options.split = start.split;
    this.gallery.chosen = new Set(start.groups);
    this.gallery.only = start.mislabelled;
    this.told = JSON.stringify(start);
  }

  /** Tells the page what is looked at, once it has been for a moment: the page keeps it in its link. */
  #tell() {
    clearTimeout(this.telling);
    if (!this.data.start || this.moving || !this.frames.length || this.#open) return;
    const { seen } = this, text = JSON.stringify(seen);
    if (text !== this.told) this.telling = setTimeout(() => { this.told = text; this.set?.("seen", seen); }, AT_REST);
  }

  /** What is looked at, in the words of `start`. */
  get seen() {
    const { player, options, gallery, frames, pin } = this, step = player.position === player.end ? null : frames[player.index].step;
    return { sample: pin, groups: GROUPS.map(([name]) => name).filter((name) => gallery.chosen.has(name)), mislabelled: gallery.only, split: options.split, step };
  }

  #open_run({ base, run, map }) {
    this.feed?.stop();
    this.#forget();
    this.feed = null;
    this.names = [];
    this.player.playing = this.player.live = false;
    this.legend.build([]);
    this.pad.open(null);
    if (!run) return;
    this.sheet = new Image();
    this.feed = new Feed({ base: base ?? "", run, map, heard: (what) => this.#heard(what) });
    this.feed.start();
    this.pad.open(this.feed.path);
  }

  #forget() {
    this.frames = [];
    this.player.restart();
    [this.pin, this.trail, this.pointed, this.tour] = [null, null, -1, null];
    this.picture.forget();
    this.charts.scale = null;
    this.timeline.setFrames([]);
    this.stale = true;
  }

  /** Something moves by itself, or under the hand. */
  get moving() { return this.player.moving || this.camera.moving || this.pad.moving || Boolean(this.tour?.moving); }

  /** What the reader drew: {direction, length, faint}, or null. Not at the step of its weights it is no part of the picture: faint. */
  get drawn() {
    const { answer, direction } = this.pad;
    return answer && { direction, length: answer.length, faint: answer.step !== this.frames[this.player.index]?.step && !this.player.live };
  }

  get #open() { return Boolean(this.feed) && !this.feed.finished; }

  #heard(what) {
    const { info, status } = this.feed;
    if (what === "restart") this.#forget();
    if (what === "info" && info) this.#describe(info);
    if (what === "frames" && info) this.#arrived();
    if (what === "status" && FINISHED.has(status.state) && this.player.live && !this.player.moving) this.player.live = false;
    this.#report();
    this.wake();
  }

  #describe(info) {
    if (this.names.join("\n") !== info.classes.join("\n")) {
      this.names = info.classes.map(String);
      this.hidden.clear();
      this.focus = this.picture.many && !info.map?.chosen ? 0 : -1; // of many classes one is singled out, lest all be grey
      this.legend.build(this.names);
    }
    if (!this.sheet.src) {
      const { url } = info.sprite, { base = "" } = this.data;
      this.sheet.onload = () => { this.picture.card.forget(); this.wake(); };
      this.sheet.src = url.startsWith("/") && !url.startsWith(base) ? base + url : url;
    }
    this.pad.describe(info, !this.data.pad);
    if (this.dim !== info.dim) { this.camera = new Camera(); this.dim = info.dim; }
    this.stale = true;
  }

  #arrived() {
    const { frames, ready } = this.feed, first = this.frames.length === 0;
    this.frames = frames.slice(0, ready);
    if (this.frames[0]?.entire) {
      this.tour ??= new Tour(this.frames.at(-1));
      for (const frame of this.frames) if (!frame.placeOf) this.tour.adopt(frame);
    }
    if (first && ready > 0) {
      // a finished run plays once from the start; a live one is followed
      if (this.#open) this.player.live = true;
      else if (this.still.matches) this.lastShown = true;
      else this.player.playing = true;
      if (this.dim === 3 && !this.camera.touched) this.camera.face(this.#chosen(this.frames.at(-1)), 0);
    }
    this.player.arrived(ready, performance.now());
    if (this.lastShown && this.still.matches && !this.#open) this.player.position = this.player.end;
    this.normScale = this.frames.reduce((most, { normMax }) => Math.max(most, normMax), 1e-6);
    this.lossMax = this.frames.reduce((most, { lossMax }) => Math.max(most, lossMax), 0);
    this.timeline.setFrames(this.frames);
    this.curvesStale = true;
    if (this.pin !== null) this.trail = trailOf(this.frames, this.pin);
    if (this.start && ready >= this.feed.status.snapshots) this.#begin();
    this.pad.arrived();
  }

  /** Goes to where the link says. */
  #begin() {
    const { sample, step } = this.start;
    this.start = null;
    if (sample !== null && sample < this.frames[0].n) this.#pinTo(sample);
    if (step !== null) this.player.seek(Math.max(0, this.frames.findLastIndex((frame) => frame.step <= step)));
  }

  // ---- what the reader does ------------------------------------------------------------------------------------------

  #actions() {
    const duration = (ms) => (this.still.matches ? 0 : ms);
    const relative = (disc, [x, y]) => [(x - disc.x) / disc.r, (disc.flip * (disc.y - y)) / disc.r];
    const then = (change) => (...all) => { const result = change(...all); this.wake(); return result; };
    return {
      hold: then((at) => { this.camera.hold(); this.held = null; this.#grip(at); }),
      drag: then((from, to, seconds) => {
        this.held ??= this.picture.globe.disc(...from);
        if (this.tour?.held) this.tour.pull(this.picture.shown.frame, this.picture.globe.direction(...to, this.camera.matrix, this.held));
        else if (this.dim === 2) this.camera.shift(to[0] - from[0], to[1] - from[1]);
        else this.camera.drag(relative(this.held, from), relative(this.held, to), seconds);
      }),
      release: then((heldFor) => { this.tour?.release(); this.camera.release(heldFor, this.still.matches || this.dim === 2); }),
      hover: then((x, y) => { this.picture.pointer = [x, y]; }),
      click: then((x, y) => {
        this.tour?.release();
        const found = this.picture.pick(x, y);
        this.#pinTo(found?.kind === "sample" ? found.index : null);
      }),
      zoom: then((factor, at) => {
        this.tour?.release(); // a second finger came: the first drags nothing any more
        const { width, height } = this.picture.size;
        return this.camera.scale(factor, at ? [at[0] - width / 2, at[1] - height / 2] : [0, 0]);
      }),
      turn: then((axis, degrees) => {
        if (this.dim === 2) this.camera.shift(-axis[1] * degrees * 3, axis[0] * -degrees * 3);
        else this.camera.rotate(axis, degrees, duration(140));
      }),
      flip: then(() => this.camera.rotate([0, 1, 0], 180, duration(400))),
      reset: then(() => this.#reset()),
      play: then(() => this.player.toggle(this.#open)),
      step: then((by) => this.player.step(by)),
      first: then(() => this.player.seek(0)),
      last: then(() => { this.player.seek(this.player.end); if (this.#open) this.player.follow(); }),
      escape: then(() => { if (!this.help.hidden) this.#toggleHelp(); else this.#pinTo(null); }),
      help: () => this.#toggleHelp(),
      wander: () => this.#wander(),
      digit: then((digit) => {
        const named = this.names.indexOf(digit), k = named >= 0 ? named : (Number(digit) + 9) % 10;
        if (k < this.names.length) this.#isolate(k);
      }),
    };
  }

  /** A press on the picture: of a tour it ends the wandering, and a prototype under it follows the hand. */
  #grip(at) {
    const { tour, picture, camera } = this, found = tour && picture.shown ? picture.pick(...at) : null;
    if (!tour) return;
    [tour.wandering, tour.held] = [false, null];
    if (found?.kind === "prototype") tour.hold(picture.shown.frame, found.index, picture.globe.direction(...at, camera.matrix));
  }

  #wander() {
    this.tour?.wander(this.still.matches);
    this.wake();
  }

  #set(name, value) {
    this.options[name] = name === "both" ? !this.picture.both : value;
    if (name === "plane") [this.camera.zoom, this.camera.pan] = [1, [0, 0]];
    this.#reveal();
  }

  #toggleClass(k) {
    if (!this.hidden.delete(k)) this.hidden.add(k);
    this.#reveal();
  }

  /** Only class k, or all again. With more classes than colours nothing is hidden: k and its rivals get the colours. */
  #isolate(k) {
    const again = this.focus === k;
    this.focus = again ? -1 : k;
    this.hidden = new Set(again || this.picture.many ? [] : this.names.map((_, other) => other).filter((other) => other !== k));
    const { motion, shown } = this.picture, first = k * (shown?.frame.each ?? 1) * 3;
    if (!again && this.dim === 3 && motion) this.camera.show(motion.prototype.subarray(first, first + 3), this.still.matches ? 0 : 400);
    this.#reveal();
  }

  #reveal() {
    this.revision++;
    this.stale = true;
    this.wake();
  }

  #pinTo(i) {
    this.pin = i;
    this.trail = i === null ? null : trailOf(this.frames, i);
  }

  #seekStep(steps, step) {
    let i = 0;
    while (i < steps.length - 2 && steps[i + 1] <= step) i++;
    const into = (step - steps[i]) / (steps[i + 1] - steps[i] || 1);
    this.player.seek(this.still.matches ? Math.round(i + into) : i + Math.max(0, Math.min(1, into)));
    this.wake();
  }

  #reset() {
    [this.camera.zoom, this.camera.pan] = [1, [0, 0]];
    const { motion, shown } = this.picture;
    if (this.dim !== 2 && motion) this.camera.face(this.#chosen({ ...motion, each: shown.frame.each }), this.still.matches ? 0 : 400);
    this.camera.touched = false;
    this.wake();
  }

  /** The prototypes that the reader is to face: all, or those that a map was chosen for. */
  #chosen({ prototype, each }) {
    const chosen = this.feed.info.map?.chosen;
    return chosen ? chosen.flatMap((k) => [...prototype.subarray(k * each * 3, (k * each + 1) * 3)]) : prototype;
  }

  #toggleHelp() {
    this.help.hidden = !this.help.hidden;
    mark(this.tools.help, "aria-expanded", !this.help.hidden);
  }

  // ---- showing -------------------------------------------------------------------------------------------------------

  /** Curves to draw the zones by instead of the snapshot's own: those under the reader's hand, or asked for by the page. */
  get preview() { return this.dial.turned ? this.dialled : this.asked; }

  /** Draws soon; keeps drawing while something moves, and stops when nothing does. */
  wake() {
    if (this.#loop || !this.root.isConnected) return;
    this.#loop = requestAnimationFrame((now) => this.#turn(now));
  }

  #turn(now) {
    this.#loop = 0;
    const seconds = this.lastTurn && now - this.lastTurn < 250 ? (now - this.lastTurn) / 1000 : 1 / 60;
    this.lastTurn = now;
    this.camera.tick(seconds, now);
    this.pad.tick(seconds);
    this.tour?.tick(seconds);
    this.player.tick(seconds, this.#open);
    this.render();
    if (this.moving) {
      this.#pace(now);
      this.wake();
    } else { this.#paced.frames = 0; this.lastTurn = 0; }
  }

  #pace(now) {
    const paced = this.#paced;
    if (paced.frames++ === 0) paced.since = now;
    else if (now - paced.since >= 500) {
      mark(this.root, "data-fps", Math.round(((paced.frames - 1) * 1000) / (now - paced.since)));
      [paced.frames, paced.since] = [1, now];
    }
  }

  render() {
    if (!this.theme) return;
    const before = this.picture.shown, frame = this.frames[this.player.index];
    if (this.pin !== null && this.tour && this.tour.turns !== this.trail?.turns)
      this.trail = Object.assign(trailOf(this.frames, this.pin), { turns: this.tour.turns });
    if (!this.picture.draw()) return;
    this.#linked(frame, this.picture.shown !== before);
    [this.stale, this.curvesStale] = [false, false];
  }

  /** What stands around the picture: panels, timeline, legend, sentence. `fresh`: another snapshot, or otherwise dressed. */
  #linked(frame, fresh) {
    const { theme, charts, names, hidden } = this, { shown, inks, zones, both } = this.picture;
    const room = this.root.clientWidth;
    mark(this.root, "data-room", room > 900 && this.feed ? "wide" : room > 560 ? "middle" : "narrow");
    mark(this.root, "data-points", shown?.count ?? 0);
    mark(this.root, "data-preview", this.preview?.text ?? ""); // whose outlines are drawn, when not the snapshot's own
    mark(this.root, "data-step", frame?.step ?? "");
    mark(this.root, "data-pin", this.pin ?? "");
    mark(this.root, "data-zones", frame && zones.known ? zones.arcs?.length ?? zones.outlines.filter((lines) => lines.length).length : ""); // classes, or arcs, that have one
    this.tools.update(this.dim ?? 3, { ...this.options, both }, !frame || this.picture.drawable, Boolean(this.feed?.info?.map));
    this.timeline.update(frame, this.#open);
    charts.element.classList.toggle("waiting", !frame);
    if (fresh || !frame) this.legend.update(frame ? this.#counts() : names.map(() => ""), inks, hidden, names);
    this.wanders.hidden = !this.tour;
    mark(this.wanders, "aria-pressed", Boolean(this.tour?.wandering));
    if (frame && this.tour) Object.assign(frame.scalars, this.tour.faith(frame, !this.moving && !this.tour.held));
    say(this.faith, frame && this.feed.info.map ? faith(frame, this.feed.info.map) : "");
    this.faith.hidden = !this.faith.textContent;
    if (!frame) { say(this.finding, ""); return; }
    if (this.data.gallery && (fresh || this.curvesStale || this.galleryStale || this.gallery.pin !== this.pin)) this.#fill(frame);
    if (this.data.pad) this.pad.update({ names, inks, step: frame.step, live: this.player.live });
    if (this.data.gallery) this.#tell();
    if (this.curvesStale || this.stale) charts.drawCurves(this.frames, theme);
    if (fresh) {
      charts.drawAngles(shown.stats, theme);
      charts.drawSpread(shown.stats, { names, inks, hidden, theme });
      const numbers = Object.entries(frame.knobs).filter(([, value]) => typeof value === "number"); // switches are in the sidebar
      const { title, loss } = this.feed.info, named = title.startsWith(loss) ? [] : [loss];
      say(this.knobs, [...named, ...numbers.map(([name, value]) => `${spoken(name)} ${short(value)}`)].join(" · "));
    }
    const next = this.frames[Math.min(this.player.index + 1, this.player.end)];
    charts.movePlayhead(frame.step + (next.step - frame.step) * (this.player.position - this.player.index), frame);
    this.#speak(sentence(frame, shown.stats, { split: this.options.split, names, preview: Boolean(this.preview),
      unknown: this.options.zones && !this.picture.drawable && !frame.map, empty: this.options.zones && !frame.map && !this.player.moving ? zones.empty : [] }));
  }

  #fill(frame) {
    const { inks } = this.picture, { frames, theme, sheet, pin, player } = this;
    this.galleryStale = false;
    this.gallery.update({ frame, frames, info: this.feed.info, inks, shown: this.picture.shows, pin, sheet, theme, position: player.index });
  }

  /** The run at the snapshot that is shown: as it is seen, drawn in vectors, as a page that plays it, or as a table. */
  async #file(kind) {
    const { feed, data, camera, picture } = this, frame = picture.shown?.frame;
    if (!frame) return null;
    const { run, base = "", map = "", gallery = false } = data, name = `${fileName(feed.info.title)}-step-${frame.step}.${kind}`;
    const blob = kind === "csv" ? contact.csv({ frame, info: feed.info, members: grouped(frame, picture.shows) })
      : kind === "png" ? await picture.file() : kind === "svg" ? await drawing(base, { run, snapshot: frame.index, camera: camera.matrix }, `${feed.info.title}. ${this.finding.textContent}`)
      : await page(base, "stage", { run, map, gallery, start: this.seen });
    return { blob, name };
  }

  /** The link of the same picture as a figure for paper; of a map the true angles, which paper can believe. */
  #sent() {
    const { data: { run, base = "" }, camera, options, hidden, picture } = this, frame = picture.shown?.frame;
    if (!frame) return null;
    const at = { runs: run, snapshot: frame.index };
    return paper(base, frame.map ? { figure: "Rivals", ...at } : { figure: "Embeddings", ...at, ...chosen(options, hidden, frame.dim), camera: numbers(camera.matrix) });
  }

  /** The gallery as a table, or as a contact sheet: a picture, a vector drawing or a page. */
  async #sheet(kind) {
    const { feed, gallery, theme } = this, frame = this.picture.shown?.frame;
    if (!frame || (kind !== "csv" && !this.sheet.complete)) return null;
    const scene = { frame, info: feed.info, members: gallery.seen }, name = `${fileName(feed.info.title)}-step-${frame.step}-margin-samples.${kind}`;
    const make = { csv: () => contact.csv(scene), svg: () => contact.vector(scene, this.sheet, theme), html: () => contact.page(scene, this.sheet, theme),
      png: () => new Promise((resolve) => contact.picture(scene, this.sheet, theme).toBlob(resolve)) };
    return { blob: await make[kind](), name };
  }

  /** Samples of each class in the chosen split, hidden or not: they say what could be shown. */
  #counts() {
    const { labels, split } = this.feed.info, want = { train: 0, test: 1 }[this.options.split], counts = this.names.map(() => 0);
    labels.forEach((k, i) => { if (want === undefined || split[i] === want) counts[k]++; });
    return counts;
  }

  /** The sentence: at once for the eye, at most every two seconds for a screen reader. */
  #speak(text) {
    say(this.finding, text);
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      this.#spoken = performance.now();
      say(this.spoken, text);
      mark(this.picture.canvas, "aria-label", text);
    }, Math.max(50, 2000 - (performance.now() - this.#spoken)));
  }

  /** Title, badge, banner: what is known about the run itself. */
  #report() {
    const { feed, data } = this, status = feed?.status, info = feed?.info;
    const state = feed ? status.state : "empty", newest = this.frames.at(-1);
    mark(this.root, "data-run", data?.run ?? "");
    mark(this.root, "data-state", state);
    mark(this.root, "data-lane", feed?.lane ?? "http");
    mark(this.root, "data-snapshots", this.frames.length);
    say(this.title, info?.title ?? "");
    say(this.badge, !feed ? "" : feed.lost ? "reconnecting" : info?.recording ? "recording" : STATES[state] ?? state);
    mark(this.badge, "data-state", feed?.lost ? "lost" : info?.recording ? "recording" : state);
    this.badge.hidden = !feed;
    this.head.hidden = !feed;
    const text = !feed ? "Nothing to show yet. Start a run or open a recording."
      : explain(status, { lost: feed.lost, missing: feed.missing, step: newest?.step ?? 0, frames: this.frames.length });
    say(this.banner, text);
    this.banner.hidden = !text;
    mark(this.banner, "data-tone", state === "failed" ? "error" : "calm");
    mark(this.banner, "data-empty", this.frames.length === 0);
  }
}
