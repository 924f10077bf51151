// The stage of losslab: what surrounds the live picture (picture.js draws it) and follows its run (feed.js).

import { Camera } from "./camera.js";
import { Charts } from "./charts.js";
import { Dial } from "./dial.js";
import { fileName, h, mark, say, short, spoken } from "./dom.js";
import { Feed, FINISHED } from "./feed.js";
import { Gallery, grouped, GROUPS } from "./gallery.js";
import { attachHands, attachKeys } from "./hands.js";
import { mounts } from "./kept.js";
import { helpPanel, Legend, report, toolbar } from "./layout.js";
import { Moving } from "./moving.js";
import { Pad } from "./pad.js";
import { Picture } from "./picture.js";
import { chosen, drawing, numbers, page, paper, Saves } from "./saves.js";
import { trailOf } from "./scene.js";
import * as contact from "./sheet.js";
import { faith, sentence } from "./stats.js";
import { Timeline } from "./timeline.js";
import { Tour } from "./tour.js";
import { wear } from "./worn.js";

const AT_REST = 600; // ms without a change, after which the page is told what is looked at

class Stage extends Moving {
  options = { colour: "class", split: "all", boundaries: true, zones: true, both: null, plane: false };
  trail = null; // the way that the pinned sample came
  pointed = -1; // the sample looked at in the gallery, or -1
  picture = new Picture(this);
  frames = [];
  #spoken = 0;

  constructor() {
    super();
    this.#build();
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
    this.dial = new Dial({ onturn: () => { this.dialled = this.dial.preview; this.wake(); }, onset: (name, value) => this.setStateValue?.("dial", { name, value }) });
    this.charts = new Charts({ onseek: (steps, step) => this.#seekStep(steps, step) });
    this.timeline = new Timeline(this.player, { onchange: change, open: () => this.open });
    this.legend = new Legend({ ontoggle: (k) => this.toggleClass(k), onisolate: (k) => this.isolate(k) });
    this.saves = new Saves("the run at this snapshot", (kind) => this.#file(kind), { send: () => this.#sent() });
    this.tools = toolbar(this.options, { set: (name, value) => this.set(name, value), reset: () => this.reset(),
      help: () => this.toggleHelp(), saves: this.saves.element });
    this.wanders = h("button", { type: "button", className: "toggle", hidden: true, title: "Turn through all dimensions by itself (t)",
      onclick: () => this.wander() }, "Wander");
    this.tools.element.querySelector(".toggles").append(this.wanders);
    this.gallery = new Gallery({ onpin: (i) => { this.pinTo(i === this.pin ? null : i); this.wake(); }, onpoint: (i) => { this.pointed = i; this.wake(); },
      onchange: () => { this.galleryStale = true; this.wake(); }, onsave: (kind) => this.#sheet(kind) });
    this.pad = new Pad({ still: this.still, onchange: change, onplaced: (direction) => {
      if (this.dim === 3) this.camera.show(direction, this.lasting());
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
    const act = this.actions(() => this);
    attachHands(this.picture.canvas, act);
    attachKeys(this.root, act);
    wear(this.root, ["stage.css", "saves.css"], () => { this.stale = true; this.render(); });
  }

  // ---- life ----------------------------------------------------------------------------------------------------------

  attach(parent) {
    super.attach(parent);
    this.feed?.start();
  }

  away() { this.feed?.stop(); }

  renew() {
    this.stale = true;
    this.wake();
  }

  update(data, setStateValue) {
    this.setStateValue = setStateValue;
    const before = this.data;
    this.data = data;
    const { positive, negative, text } = data.preview ?? {};
    this.asked = positive ? { positive: Float32Array.from(positive), negative: Float32Array.from(negative), text } : null;
    this.dial.update(data.dial ?? null);
    if (!before) this.#furnish(data);
    else if (before.run !== data.run) this.start = null; // what the link said was of another run
    const other = !before || ["run", "base", "map"].some((name) => before[name] !== data[name]);
    if (other) this.#openRun(data);
    else if (before.replay !== data.replay && !this.open) { this.player.seek(0); if (!this.still.matches) this.player.toggle(false); }
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
    if (!this.data.start || this.moving || !this.frames.length || this.open) return;
    const { seen } = this, text = JSON.stringify(seen);
    if (text !== this.told) this.telling = setTimeout(() => { this.told = text; this.setStateValue?.("seen", seen); }, AT_REST);
  }

  /** What is looked at, in the words of `start`. */
  get seen() {
    const { player, options, gallery, frames, pin } = this, step = player.position === player.end ? null : frames[player.index].step;
    return { sample: pin, groups: GROUPS.map(([name]) => name).filter((name) => gallery.chosen.has(name)), mislabelled: gallery.only, split: options.split, step };
  }

  #openRun({ base, run, map }) {
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

  get open() { return Boolean(this.feed) && !this.feed.finished; }

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
      if (this.open) this.player.live = true;
      else if (this.still.matches) this.lastShown = true;
      else this.player.playing = true;
      if (this.dim === 3 && !this.camera.touched) this.camera.face(this.#chosen(this.frames.at(-1)), 0);
    }
    this.player.arrived(ready, performance.now());
    if (this.lastShown && this.still.matches && !this.open) this.player.position = this.player.end;
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
    if (sample !== null && sample < this.frames[0].n) this.pinTo(sample);
    if (step !== null) this.player.seek(Math.max(0, this.frames.findLastIndex((frame) => frame.step <= step)));
  }

  // ---- what the reader does ------------------------------------------------------------------------------------------

  set(name, value) { super.set(name, name === "both" ? !this.picture.both : value); }

  isolate(k) {
    super.isolate(k);
    const { motion, shown } = this.picture, first = k * (shown?.frame.each ?? 1) * 3;
    if (this.focus === k && this.dim === 3 && motion) this.camera.show(motion.prototype.subarray(first, first + 3), this.lasting());
  }

  pinTo(i) {
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

  face(ms) {
    const { motion, shown } = this.picture;
    if (this.dim !== 2 && motion) this.camera.face(this.#chosen({ ...motion, each: shown.frame.each }), ms);
  }

  /** The prototypes that the reader is to face: all, or those that a map was chosen for. */
  #chosen({ prototype, each }) {
    const chosen = this.feed.info.map?.chosen;
    return chosen ? chosen.flatMap((k) => [...prototype.subarray(k * each * 3, (k * each + 1) * 3)]) : prototype;
  }

  // ---- showing -------------------------------------------------------------------------------------------------------

  /** Curves to draw the zones by instead of the snapshot's own: those under the reader's hand, or asked for by the page. */
  get preview() { return this.dial.turned ? this.dialled : this.asked; }

  tick(seconds) {
    this.pad.tick(seconds);
    this.tour?.tick(seconds);
    super.tick(seconds);
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
    this.timeline.update(frame, this.open);
    charts.element.classList.toggle("waiting", !frame);
    if (fresh || !frame) this.legend.update(frame ? this.counts(this.feed.info) : names.map(() => ""), inks, hidden, names);
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
    const { feed, data, frames } = this, { info } = feed ?? {}, status = feed?.status ?? { state: "empty" };
    report(this, feed ?? {}, status, frames);
    mark(this.root, "data-run", data?.run ?? "");
    mark(this.root, "data-state", status.state);
    mark(this.root, "data-lane", feed?.lane ?? "http");
    mark(this.root, "data-snapshots", frames.length);
    say(this.title, info?.title ?? "");
    this.head.hidden = !feed;
  }
}

export default mounts(Stage);
