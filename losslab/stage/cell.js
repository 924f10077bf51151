// One run of a rack: its feed and its picture. Time, camera and whatever the reader chooses belong to the rack; this is
// what picture.js asks of a stage.

import { Turned } from "./align.js";
import { h, mark, say } from "./dom.js";
import { Feed } from "./feed.js";
import { report } from "./layout.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { trailOf } from "./scene.js";
import { percent } from "./stats.js";

export class Cell {
  frames = [];
  names = [];
  player = new Player(); // follows the rack's
  preview = null;
  picture = new Picture(this);
  trail = null;
  pointed = -1; // the sample that is looked at in another run, or -1

  constructor(rack, run) {
    Object.assign(this, { rack, run });
    this.camera = new Turned(rack.camera);
    this.swatch = h("span", { className: "line", "aria-hidden": "true" }); // its curve's colour in the charts below
    this.title = h("span", { className: "title" });
    this.badge = h("span", { className: "badge" });
    this.banner = h("div", { className: "banner", role: "status", hidden: true });
    this.finding = h("p", { className: "finding" });
    this.box = h("div", { className: "picture-box" }, this.picture.canvas, this.picture.card.element, this.banner);
    this.element = h("section", { className: "cell", "data-testid": "cell" },
      h("div", { className: "cell-head" }, this.swatch, this.title, this.badge), this.box, this.finding);
    this.sheet = new Image();
    this.feed = new Feed({ base: rack.base, run, heard: (what) => this.#heard(what) });
    this.report();
  }

  get options() { return this.rack.options; }
  get hidden() { return this.rack.hidden; }
  get focus() { return this.rack.focus; }
  get revision() { return this.rack.revision; }
  get theme() { return this.rack.theme; }
  get moving() { return this.rack.moving; }
  get pin() { return this.rack.pin; }
  get open() { return !this.feed.finished && !this.feed.missing; }
  /** Whoever has snapshots no longer waits, though only the next word from the server will say so. */
  get status() {
    const { status } = this.feed;
    return this.frames.length && ["opening", "queued"].includes(status.state) ? { ...status, state: "running" } : status;
  }
  get newest() { return this.frames.at(-1); }

  name({ text, whole, ink }) {
    say(this.title, text);
    mark(this.title, "title", whole);
    this.swatch.style.background = ink;
  }

  #heard(what) {
    const { info } = this.feed;
    if (what === "restart") this.#forget();
    if (what === "info" && info) this.#describe(info);
    if (what === "frames" && info) this.#arrived();
    this.report();
    this.rack.heard(this, what);
  }

  #forget() {
    this.frames = [];
    this.trail = null;
    this.picture.forget();
  }

  #describe(info) {
    this.names = info.classes.map(String);
    this.dim = info.dim;
    this.stale = true;
    if (this.sheet.src) return;
    const { url } = info.sprite, { base } = this.rack;
    this.sheet.onload = () => { this.picture.card.forget(); this.rack.wake(); };
    this.sheet.src = url.startsWith("/") && !url.startsWith(base) ? base + url : url;
  }

  #arrived() {
    const { frames, ready } = this.feed;
    this.frames = frames.slice(0, ready);
    this.normScale = this.frames.reduce((most, { normMax }) => Math.max(most, normMax), 1e-6);
    this.lossMax = this.frames.reduce((most, { lossMax }) => Math.max(most, lossMax), 0);
    this.pinned();
  }

  /** The way of the sample that is pinned in every run, here. */
  pinned() { this.trail = this.pin === null || !this.frames.length ? null : trailOf(this.frames, this.pin); }

  /** Shows the moment of a training step (with a fraction, between two snapshots). */
  render(step) {
    const { player, frames, rack } = this;
    player.count = frames.length;
    player.still = rack.player.still;
    player.playing = rack.player.moving;
    player.position = placeOf(frames, step);
    if (!this.theme || !this.picture.draw()) return;
    this.stale = false;
    this.#say();
  }

  #say() {
    const { shown } = this.picture;
    mark(this.element, "data-step", shown?.frame.step ?? "");
    mark(this.element, "data-points", shown?.count ?? 0);
    if (!shown) { say(this.finding, ""); return; }
    const { median, share, total } = shown.stats;
    const text = total === 0 ? "No samples are shown."
      : `own ${median.own.toFixed(1)}°, nearest other ${median.other.toFixed(1)}°, ${percent(share[2])} % wrong`;
    say(this.finding, text);
    mark(this.picture.canvas, "aria-label", `${this.title.textContent}, step ${shown.frame.step}: ${text}`);
  }

  /** What is known of the run itself. */
  report() {
    const { feed, frames, status } = this;
    report(this, feed, status, frames);
    this.badge.hidden = this.badge.dataset.state === "done";
    mark(this.element, "data-run", this.run);
    mark(this.element, "data-state", status.state);
    mark(this.element, "data-snapshots", frames.length);
  }
}

/** Where among the frames a training step lies: an index, with a fraction between two snapshots. */
export function placeOf(frames, step) {
  let i = 0;
  while (i < frames.length - 1 && frames[i + 1].step <= step) i++;
  if (i >= frames.length - 1) return Math.max(0, frames.length - 1);
  return i + Math.max(0, (step - frames[i].step) / (frames[i + 1].step - frames[i].step || 1));
}
