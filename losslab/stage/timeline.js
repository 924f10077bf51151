// The transport under the stage: buttons, a real slider, marks for snapshots and for changed knobs.

import { h, icon, mark, say, short, spoken } from "./dom.js";

const FEW = 80; // up to here every real snapshot has its own mark

/** What changed between two snapshots' knobs, e.g. "margin 0.3 → 0.5". */
function changes(before, after) {
  return Object.keys(after).filter((name) => before[name] !== after[name])
    .map((name) => `${spoken(name)} ${short(before[name] ?? "–")} → ${short(after[name])}`).join(", ");
}

export class Timeline {
  constructor(player, { onchange, open }) {
    Object.assign(this, { player, onchange, open });
    const act = (change) => () => { change(); onchange(); };
    const button = (name, text, change) =>
      h("button", { type: "button", className: "icon", "aria-label": text, title: text, onclick: act(change) }, icon(name));
    this.icons = { play: icon("play"), pause: icon("pause") };
    this.play = h("button", { type: "button", className: "icon play", onclick: act(() => player.toggle(open())) }, this.icons.play);
    this.slider = h("input", { type: "range", min: 0, max: 0, step: "any", value: 0, "aria-label": "Snapshot",
      oninput: act(() => player.seek(this.#snap(Number(this.slider.value)))), onkeydown: (event) => this.#key(event) });
    // the slider's own thumb is invisible: moving it repaints the page, moving a layer of its own does not
    this.thumb = h("span", { className: "thumb", "aria-hidden": "true" }, h("i"));
    this.marks = h("div", { className: "marks", "aria-hidden": "true" });
    this.speed = h("select", { "aria-label": "Speed", title: "Speed", onchange: act(() => { player.speed = Number(this.speed.value); }) },
      ...[[0.25, "¼×"], [0.5, "½×"], [1, "1×"], [2, "2×"], [4, "4×"]].map(([value, text]) => h("option", { value, selected: value === 1 }, text)));
    this.live = h("button", { type: "button", className: "live", title: "Follow the newest snapshot", onclick: act(() => player.follow()) }, "live");
    this.readout = h("div", { className: "readout" });
    this.element = h("div", { className: "timeline", role: "group", "aria-label": "Timeline" },
      button("first", "First snapshot (home)", () => player.seek(0)),
      button("back", "One snapshot back ( [ )", () => player.step(-1)), this.play,
      button("forward", "One snapshot forward ( ] )", () => player.step(1)),
      h("div", { className: "track" }, this.marks, this.slider, this.thumb), this.speed, this.live, this.readout);
  }

  #snap(value) { return this.player.still || Math.abs(value - Math.round(value)) < 0.04 ? Math.round(value) : value; }

  #key(event) {
    const { player } = this, ten = Math.max(1, Math.round(player.count / 10));
    const to = { ArrowLeft: () => player.step(-1), ArrowDown: () => player.step(-1), ArrowRight: () => player.step(1), ArrowUp: () => player.step(1),
      PageDown: () => player.seek(Math.round(player.position) - ten), PageUp: () => player.seek(Math.round(player.position) + ten),
      Home: () => player.seek(0), End: () => player.seek(player.end) }[event.key];
    if (!to) return;
    to();
    event.preventDefault();
    event.stopPropagation();
    this.onchange();
  }

  /** Marks are laid out again only when snapshots were added. */
  setFrames(frames) {
    this.slider.max = Math.max(0, frames.length - 1);
    const at = (i) => `calc(8px + (100% - 16px) * ${frames.length > 1 ? i / (frames.length - 1) : 0})`;
    const marks = frames.length <= FEW ? frames.map((_, i) => h("span", { className: "snapshot", style: `left:${at(i)}` })) : [];
    this.knobs = frames.map((frame, i) => (i > 0 && frame.changed ? changes(frames[i - 1].knobs, frame.knobs) : ""));
    frames.forEach((frame, i) => {
      if (!this.knobs[i]) return;
      marks.push(h("span", { className: "knob", style: `left:${at(i)}`, title: `step ${frame.step}: ${this.knobs[i]}` }, h("b", {}, "")));
    });
    this.marks.replaceChildren(...marks);
  }

  update(frame, running) {
    const { player } = this, on = player.playing || player.live;
    this.thumb.style.transform = `translateX(${((player.end ? player.position / player.end : 0) * 100).toFixed(3)}%)`;
    if (Number(this.slider.value) !== player.position && (player.index !== this.shown || !player.moving)) this.slider.value = player.position;
    this.shown = player.index;
    if (this.play.firstChild !== this.icons[on ? "pause" : "play"]) this.play.replaceChildren(this.icons[on ? "pause" : "play"]);
    mark(this.play, "aria-label", on ? "Pause (space)" : "Play (space)");
    mark(this.play, "title", on ? "Pause (space)" : "Play (space)");
    mark(this.live, "aria-pressed", player.live);
    this.live.hidden = !running;
    mark(this.element, "data-empty", player.count < 2);
    if (!frame) { say(this.readout, ""); return; }
    const knob = this.knobs?.[player.index];
    const text = `step ${frame.step} · snapshot ${player.index + 1}/${player.count} · ${player.real ? "real" : "interpolated"}`;
    say(this.readout, knob ? `${text} · ${knob}` : text);
    mark(this.slider, "aria-valuetext", `step ${frame.step}, snapshot ${player.index + 1} of ${player.count}`);
  }
}
