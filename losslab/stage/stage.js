// The stage of losslab: mounts, keeps and wires the live picture. See contracts of the frame in frame.js, feed.js.
//
// Streamlit calls the default export again at every change of data or theme, and may unmount and remount it when reruns
// overlap; so a stage lives in a map under its own key and is only ever re-appended ("parked"), never rebuilt.

import { Camera } from "./camera.js";
import { Card } from "./card.js";
import { Charts } from "./charts.js";
import { Dial } from "./dial.js";
import { h, mark, say } from "./dom.js";
import { layers } from "./dots.js";
import { Feed, FINISHED } from "./feed.js";
import { Flat } from "./flat.js";
import { between } from "./frame.js";
import { Globe } from "./globe.js";
import { attachHands, attachKeys } from "./hands.js";
import { classInks, css, readTheme } from "./ink.js";
import { applyTheme, explain, helpPanel, Legend, STATES, toolbar } from "./layout.js";
import { label } from "./marks.js";
import { Player } from "./player.js";
import { dress, drawKey, drawPreview, trailOf } from "./scene.js";
import { measure, percent, sentence } from "./stats.js";
import { Timeline } from "./timeline.js";
import { Zones } from "./zones.js";

const stages = new Map();
const KEPT = 6; // parked stages whose frames stay in memory
const AWAY = 4000; // ms a stage may be unmounted before it stops following its run

export default function mount({ data, parentElement, setStateValue, setTriggerValue }) {
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
  stage.update(data, setStateValue, setTriggerValue);
  return () => stage.detach(parentElement);
}

class Stage {
  options = { colour: "class", split: "all", boundaries: true, zones: true, both: null, plane: false };
  hidden = new Set(); // classes
  focus = -1; // the class singled out, or -1
  pin = null;
  hover = null;
  pointer = null;
  camera = new Camera();
  player = new Player();
  globe = new Globe();
  flat = new Flat();
  dots = layers();
  zones = new Zones();
  frames = [];
  names = [];
  revision = 0; // of which samples are shown
  #loop = 0;
  #paced = { frames: 0, since: 0 };
  #spoken = 0;

  constructor() {
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.still.addEventListener("change", () => { this.player.still = this.still.matches; this.wake(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.root.isConnected && this.#retheme());
    this.player.still = this.still.matches;
    this.#build();
    this.resized = new ResizeObserver(() => { this.stale = true; this.render(); });
    this.resized.observe(this.picture);
    this.resized.observe(this.charts.element);
  }

  // ---- elements ------------------------------------------------------------------------------------------------------

  #build() {
    const change = () => this.wake();
    this.canvas = h("canvas", { className: "view", role: "img", "aria-label": "No run yet" });
    this.card = new Card();
    this.banner = h("div", { className: "banner", role: "status", hidden: true });
    this.help = helpPanel();
    this.picture = h("div", { className: "picture-box", tabIndex: 0, role: "application",
      "aria-label": "Embeddings on the hypersphere. Arrow keys turn it, plus and minus zoom, space plays, question mark lists all keys." },
      this.canvas, this.card.element, this.banner, this.help);
    this.dial = new Dial({ onturn: () => { this.dialled = this.dial.preview; this.wake(); }, onset: (name, value) => this.set?.("dial", { name, value }) });
    this.charts = new Charts({ onseek: (steps, step) => this.#seekStep(steps, step) });
    this.timeline = new Timeline(this.player, { onchange: change, open: () => this.#open });
    this.legend = new Legend({ ontoggle: (k) => this.#toggleClass(k), onisolate: (k) => this.#isolate(k) });
    this.tools = toolbar(this.options, { set: (name, value) => this.#set(name, value), reset: () => this.#reset(),
      download: () => this.#download(), help: () => this.#toggleHelp() });
    this.title = h("span", { className: "title" });
    this.badge = h("span", { className: "badge" });
    this.knobs = h("span", { className: "knobs" });
    this.finding = h("p", { className: "finding" });
    this.spoken = h("p", { className: "spoken", "aria-live": "polite" });
    this.caption = h("p", { className: "caption" });
    this.head = h("div", { className: "head" }, this.title, this.badge, this.knobs, this.dial.element);
    this.body = h("div", { className: "body" },
      h("div", { className: "left" }, this.picture, this.legend.element), this.charts.element);
    this.root = h("div", { className: "losslab-stage", "data-testid": "stage" },
      this.head, this.tools.element, this.body, this.timeline.element, this.finding, this.spoken, this.caption);
    const act = this.#actions();
    attachHands(this.canvas, act);
    attachKeys(this.root, act);
    this.#style();
  }

  /** The style sheet arrives by <link>; once here its rules move into a <style>, which survives being re-appended
   *  without loading again and so without a flash. */
  #style() {
    const link = h("link", { rel: "stylesheet", href: new URL("./stage.css", import.meta.url).href });
    this.root.style.visibility = "hidden";
    link.onload = () => {
      link.replaceWith(h("style", {}, [...link.sheet.cssRules].map((rule) => rule.cssText).join("\n")));
      this.root.style.visibility = "";
      this.stale = true;
      this.render();
    };
    link.onerror = () => { this.root.style.visibility = ""; };
    this.root.prepend(link);
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

  update(data, setStateValue, setTriggerValue) {
    [this.set, this.tell] = [setStateValue, setTriggerValue];
    const before = this.data;
    this.data = data;
    if (data.height) this.picture.style.setProperty("--ll-height", `${data.height}px`);
    say(this.caption, data.caption ?? "");
    const { positive, negative, text } = data.preview ?? {};
    this.asked = positive ? { positive: Float32Array.from(positive), negative: Float32Array.from(negative), text } : null;
    this.dial.update(data.dial ?? null);
    if (!before || before.run !== data.run || before.base !== data.base) this.#open_run(data);
    else if (before.replay !== data.replay && !this.#open) { this.player.seek(0); if (!this.still.matches) this.player.toggle(false); }
    this.#report();
    this.wake();
  }

  #open_run({ base, run }) {
    this.feed?.stop();
    this.#forget();
    this.feed = null;
    [this.names, this.unfinished, this.told] = [[], false, false];
    this.player.playing = this.player.live = false;
    this.legend.build([]);
    if (!run) return;
    this.sheet = new Image();
    this.feed = new Feed({ base: base ?? "", run, heard: (what) => this.#heard(what) });
    this.feed.start();
  }

  #forget() {
    this.frames = [];
    this.player.restart();
    [this.pin, this.hover, this.marksTrail, this.motion, this.shown, this.began] = [null, null, null, null, null, false];
    this.card.forget();
    this.card.hide();
    this.charts.scale = null;
    this.timeline.setFrames([]);
    this.stale = true;
  }

  /** Something moves by itself, or under the hand. */
  get moving() { return this.player.moving || this.camera.moving; }

  get #open() { return Boolean(this.feed) && !this.feed.finished; }

  #heard(what) {
    const { info, status } = this.feed;
    if (what === "restart") this.#forget();
    if (what === "info" && info) this.#describe(info);
    if (what === "frames" && info) this.#arrived();
    if (what === "status") {
      if (!FINISHED.has(status.state)) this.unfinished ||= status.state !== "opening";
      else if (this.unfinished && !this.told) {
        this.told = true;
        this.tell?.("ended", status.state);
      }
      if (FINISHED.has(status.state) && this.player.live && !this.player.moving) this.player.live = false;
    }
    this.#report();
    this.wake();
  }

  #describe(info) {
    if (this.names.join("\n") !== info.classes.join("\n")) {
      this.names = info.classes.map(String);
      this.hidden.clear();
      this.focus = -1;
      this.legend.build(this.names);
    }
    if (!this.sheet.src) {
      const { url } = info.sprite, { base = "" } = this.data;
      this.sheet.onload = () => { this.card.forget(); this.wake(); };
      this.sheet.src = url.startsWith("/") && !url.startsWith(base) ? base + url : url;
    }
    if (this.dim !== info.dim) { this.camera = new Camera(); this.dim = info.dim; }
    this.stale = true;
  }

  #arrived() {
    const { frames, ready } = this.feed, first = this.frames.length === 0;
    this.frames = frames.slice(0, ready);
    if (first && ready > 0) {
      // a finished run plays once from the start; a live one is followed
      if (this.#open) this.player.live = true;
      else if (this.still.matches) this.lastShown = true;
      else this.player.playing = true;
      if (this.dim === 3 && !this.camera.touched) this.camera.face(this.frames.at(-1).prototype, 0);
    }
    this.player.arrived(ready, performance.now());
    if (this.lastShown && this.still.matches && !this.#open) this.player.position = this.player.end;
    this.normScale = this.frames.reduce((most, { normMax }) => Math.max(most, normMax), 1e-6);
    this.lossMax = this.frames.reduce((most, { lossMax }) => Math.max(most, lossMax), 0);
    this.timeline.setFrames(this.frames);
    this.curvesStale = true;
    if (this.pin !== null) this.marksTrail = trailOf(this.frames, this.pin);
  }

  // ---- what the reader does ------------------------------------------------------------------------------------------

  #actions() {
    const duration = (ms) => (this.still.matches ? 0 : ms);
    const relative = (disc, [x, y]) => [(x - disc.x) / disc.r, (disc.flip * (disc.y - y)) / disc.r];
    const then = (change) => (...all) => { const result = change(...all); this.wake(); return result; };
    return {
      hold: then(() => { this.camera.hold(); this.held = null; }),
      drag: then((from, to, seconds) => {
        this.held ??= this.globe.disc(...from);
        if (this.dim === 2) this.camera.shift(to[0] - from[0], to[1] - from[1]);
        else this.camera.drag(relative(this.held, from), relative(this.held, to), seconds);
      }),
      release: then((heldFor) => this.camera.release(heldFor, this.still.matches || this.dim === 2)),
      hover: then((x, y) => { this.pointer = [x, y]; }),
      click: then((x, y) => {
        const found = this.#view.pick(x, y);
        this.#pinTo(found?.kind === "sample" ? found.index : null);
      }),
      zoom: then((factor, at) => {
        const { width, height } = this.size;
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
      digit: then((digit) => {
        const named = this.names.indexOf(digit), k = named >= 0 ? named : (Number(digit) + 9) % 10;
        if (k < this.names.length) this.#isolate(k);
      }),
    };
  }

  #set(name, value) {
    this.options[name] = name === "both" ? !this.#both : value;
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
    this.hidden = new Set(again || this.#many ? [] : this.names.map((_, other) => other).filter((other) => other !== k));
    if (!again && this.dim === 3 && this.motion) this.camera.show(this.motion.prototype.subarray(k * 3, k * 3 + 3), this.still.matches ? 0 : 400);
    this.#reveal();
  }

  get #many() { return this.names.length > 10; }

  #reveal() {
    this.revision++;
    this.stale = true;
    this.wake();
  }

  #pinTo(i) {
    this.pin = i;
    this.marksTrail = i === null ? null : trailOf(this.frames, i);
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
    if (this.dim !== 2 && this.motion) this.camera.face(this.motion.prototype, this.still.matches ? 0 : 400);
    this.camera.touched = false;
    this.wake();
  }

  #toggleHelp() {
    this.help.hidden = !this.help.hidden;
    mark(this.tools.help, "aria-expanded", !this.help.hidden);
  }

  // ---- drawing -------------------------------------------------------------------------------------------------------

  /** Curves to draw the zones by instead of the snapshot's own: those under the reader's hand, or asked for by the page. */
  get preview() { return this.dial.turned ? this.dialled : this.asked; }

  get #view() { return this.dim === 2 ? this.flat : this.globe; }
  get #both() { return this.frames.length > 0 && (this.options.both ?? this.size.width >= 560); }
  get size() { return { width: this.canvas.clientWidth, height: this.canvas.clientHeight, dpr: devicePixelRatio || 1 }; }

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
    const { width, height, dpr } = this.size;
    if (width === 0 || height === 0 || !this.theme) return;
    const [w, h] = [Math.round(width * dpr), Math.round(height * dpr)];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const { player } = this, index = player.index, frame = this.frames[index];
    if (this.stale || !this.shown || this.shown.frame !== frame) this.#dressed(frame);
    if (frame) {
      this.motion = between(frame, this.frames[Math.min(index + 1, player.end)], this.player.still ? 0 : player.position - index, this.motion);
      this.zones.update({ ...this.motion, weighs: frame.weighsLength, curves: this.preview ?? frame, dim: this.dim, rough: player.moving });
    }
    this.#hovering();
    this.scene = this.#scene(frame);
    this.#paint(this.canvas.getContext("2d", { willReadFrequently: true }), { width, height, dpr }, this.dots);
    this.#linked(frame, width, height);
    [this.stale, this.curvesStale] = [false, false];
  }

  /** What depends on the real snapshot and the reader's choices, but not on the motion or the camera. */
  #dressed(frame) {
    const { names, focus, theme } = this;
    const lit = this.#many && focus >= 0 && frame ? [focus, ...rivals(frame, focus)] : [];
    this.inks = classInks(names.length, theme, lit);
    this.lit = lit.length || !this.#many ? (lit.length ? lit : names.map((_, k) => k)) : [];
    if (!frame) { this.shown = null; this.legend.update(names.map(() => ""), this.inks, this.hidden, names); return; }
    const { labels, split } = this.feed.info, want = { train: 0, test: 1 }[this.options.split];
    const shows = (i) => (want === undefined || split[i] === want) && !this.hidden.has(labels[i]);
    if (frame.stats?.revision !== this.revision) frame.stats = { revision: this.revision, ...measure(frame, labels, shows) };
    const dressed = dress(frame, { labels, colour: this.options.colour, inks: this.inks, theme, shown: shows, lossMax: this.lossMax });
    if (this.countsOf !== this.options.split + labels.length + this.feed.run) { // counts ignore what is hidden: they say what could be shown
      this.countsOf = this.options.split + labels.length + this.feed.run;
      this.counts = names.map(() => 0);
      labels.forEach((k, i) => { if (want === undefined || split[i] === want) this.counts[k]++; });
    }
    this.shown = { frame, stats: frame.stats, ...dressed };
    this.legend.update(this.counts, this.inks, this.hidden, names);
    this.panelsStale = true;
  }

  #scene(frame) {
    const { theme, options, hover, pin } = this, show = { ...options, both: this.#both };
    const base = { theme, show, hidden: this.hidden, names: this.names, inks: this.inks, lit: this.lit, c: this.names.length,
      preview: Boolean(this.preview), moving: this.moving, normScale: this.normScale,
      marks: { hover: hover?.kind === "sample" ? hover.index : null, prototype: hover?.kind === "prototype" ? hover.index : -1, pin, trail: this.marksTrail } };
    if (!frame) {
      return { ...base, n: 0, c: 0, names: [], style: [], styles: [], zones: null,
        motion: { direction: new Float32Array(0), norm: [], prototype: new Float32Array(0), length: [] } };
    }
    const markInk = pin === null ? theme.text : this.inks[this.feed.info.labels[pin]];
    return { ...base, n: frame.n, ...this.shown, motion: this.motion, zones: this.zones, markInk };
  }

  #paint(ctx, size, dots) {
    ctx.setTransform(size.dpr, 0, 0, size.dpr, 0, 0);
    ctx.clearRect(0, 0, size.width, size.height);
    this.#view.draw(ctx, size, this.scene, this.camera, dots);
    if (!this.shown) return;
    const { stats } = this.shown;
    drawKey(ctx, size.height, { colour: this.options.colour, theme: this.theme, lossMax: this.lossMax, share: stats.share.map(percent) });
    if (this.preview) drawPreview(ctx, this.globe.main?.right && this.dim === 3 ? this.globe.main.right : size.width, this.preview.text, this.theme);
  }

  /** Card of what is under the pointer, or of what is pinned. Uses the places of the frame drawn before. */
  #hovering() {
    const { shown, pointer, pin } = this;
    this.hover = shown && pointer ? this.#view.pick?.(...pointer) : null;
    const target = this.hover ?? (pin !== null ? { kind: "sample", index: pin } : null);
    this.canvas.style.cursor = this.hover ? "pointer" : "grab";
    if (!shown || !target) { this.card.hide(); return; }
    const { width, height } = this.size;
    if (target.kind === "sample") this.card.sample(target.index, shown.frame, this.feed.info, this.names, this.sheet);
    else this.card.prototype(target.index, shown.frame, shown.stats, this.names);
    this.card.place(...(this.hover ? pointer : [0, 0]), width, height, !this.hover || this.hover.index === pin);
  }

  #linked(frame, width) {
    const { theme, charts, shown } = this;
    const room = this.root.clientWidth;
    mark(this.root, "data-room", room > 900 && this.feed ? "wide" : room > 560 ? "middle" : "narrow");
    mark(this.root, "data-points", shown?.count ?? 0);
    mark(this.root, "data-preview", this.preview?.text ?? ""); // whose outlines are drawn, when not the snapshot's own
    mark(this.root, "data-step", frame?.step ?? "");
    this.tools.update(this.dim ?? 3, { ...this.options, both: this.#both });
    this.timeline.update(frame, this.#open);
    charts.element.classList.toggle("waiting", !frame);
    if (!frame) { say(this.finding, ""); return; }
    if (this.curvesStale || this.stale) charts.drawCurves(this.frames, theme);
    if (this.panelsStale) {
      charts.drawAngles(shown.stats, theme);
      charts.drawSpread(shown.stats, { names: this.names, inks: this.inks, hidden: this.hidden, theme });
      this.panelsStale = false;
      const numbers = Object.entries(frame.knobs).filter(([, value]) => typeof value === "number"); // switches are in the sidebar
      say(this.knobs, [this.feed.info.loss?.name ?? "", ...numbers.map(([name, value]) => `${name} ${value}`)].join(" · "));
    }
    const next = this.frames[Math.min(this.player.index + 1, this.player.end)];
    charts.movePlayhead(frame.step + (next.step - frame.step) * (this.player.position - this.player.index), frame);
    this.#speak(sentence(frame, shown.stats, { split: this.options.split, names: this.names, preview: Boolean(this.preview),
      empty: this.options.zones && !this.player.moving ? this.zones.empty : [] }));
  }

  /** The sentence: at once for the eye, at most every two seconds for a screen reader. */
  #speak(text) {
    say(this.finding, text);
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      this.#spoken = performance.now();
      say(this.spoken, text);
      mark(this.canvas, "aria-label", text);
    }, Math.max(50, 2000 - (performance.now() - this.#spoken)));
  }

  /** Title, badge, message: what is known about the run itself. */
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
    const about = !feed ? "Nothing to show yet. Start a run or open a recording."
      : explain(status, { lost: feed.lost, missing: feed.missing, step: newest?.step ?? 0, frames: this.frames.length });
    const text = [data?.message, about].filter(Boolean).join(" ");
    say(this.banner, text);
    this.banner.hidden = !text;
    mark(this.banner, "data-tone", data?.message || state === "failed" ? "error" : "calm");
    mark(this.banner, "data-empty", this.frames.length === 0);
  }

  #download() {
    const { width, height } = this.size, foot = 30, canvas = h("canvas", { width: width * 2, height: (height + foot) * 2 });
    const ctx = canvas.getContext("2d"), title = this.feed?.info?.title ?? "losslab", step = this.shown?.frame.step ?? 0;
    const layer = h("canvas", { width: width * 2, height: height * 2 });
    this.#paint(layer.getContext("2d"), { width, height, dpr: 2 }, layers());
    ctx.fillStyle = css(this.theme.background);
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.drawImage(layer, 0, 0);
    ctx.scale(2, 2);
    label(ctx, `${title} · step ${step}${this.player.real ? "" : " (between snapshots)"}`, width / 2, height + 18, this.theme, { align: "center", size: 13 });
    canvas.toBlob((blob) => {
      const link = h("a", { href: URL.createObjectURL(blob), download: `${title.replace(/[^\w.-]+/g, "-")}-step-${step}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }
}

/** The two classes whose prototypes are nearest to that of class k. */
function rivals({ prototype, c }, k) {
  const cosine = (j) => [0, 1, 2].reduce((sum, d) => sum + prototype[k * 3 + d] * prototype[j * 3 + d], 0);
  return Array.from({ length: c }, (_, j) => j).filter((j) => j !== k).sort((a, b) => cosine(b) - cosine(a)).slice(0, 2);
}
