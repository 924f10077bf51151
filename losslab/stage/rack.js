// The rack: several runs under one clock and one camera. Turning one sphere turns all, one timeline moves all, and the
// sample that is pinned in one run is pinned in every other.

import { alignment, places } from "./align.js";
import { Cell, placeOf } from "./cell.js";
import { h, mark } from "./dom.js";
import { grouped } from "./gallery.js";
import { attachHands, attachKeys } from "./hands.js";
import { css } from "./ink.js";
import { mounts } from "./kept.js";
import { helpPanel, Legend, toolbar } from "./layout.js";
import { label } from "./marks.js";
import { Moving } from "./moving.js";
import { HEIGHT, WIDTH } from "./plot.js";
import { chosen, drawing, numbers, page, paper, Saves } from "./saves.js";
import { csv } from "./sheet.js";
import { Timeline } from "./timeline.js";
import { svg, written } from "./vector.js";
import { wear } from "./worn.js";

const ALIGN = "Turn every sphere so that its classes lie as in the first: what then differs is not a mere rotation";

class Rack extends Moving {
  options = { colour: "class", split: "all", boundaries: true, zones: true, both: false, plane: false };
  aligned = true;
  cells = [];
  base = "";
  parted = null; // the step at which runs of one past go different ways

  constructor() {
    super();
    this.#build();
    new ResizeObserver(() => this.#resized()).observe(this.grid);
  }

  // ---- elements ------------------------------------------------------------------------------------------------------

  #build() {
    this.grid = h("div", { className: "grid" });
    this.help = helpPanel();
    this.legend = new Legend({ ontoggle: (k) => this.toggleClass(k), onisolate: (k) => this.isolate(k) });
    this.saves = new Saves("the runs at this step", (kind) => this.#file(kind), { send: () => this.#sent() });
    this.tools = toolbar(this.options, { set: (name, value) => this.set(name, value), reset: () => this.reset(),
      help: () => this.toggleHelp(), saves: this.saves.element });
    this.align = h("button", { type: "button", className: "toggle", title: ALIGN, onclick: () => this.#setAligned(!this.aligned) }, "Align");
    this.tools.element.querySelector(".toggles").append(this.align);
    this.timeline = new Timeline(this.player, { onchange: () => this.wake(), open: () => this.open });
    this.fork = h("span", { className: "fork", hidden: true }, h("b", {}, "they part"));
    this.timeline.marks.after(this.fork);
    this.root = h("div", { className: "losslab-stage losslab-rack", "data-testid": "rack" },
      this.tools.element, h("div", { className: "shelf", tabIndex: 0, role: "application",
        "aria-label": "Runs side by side. Arrow keys turn all of them, space plays, question mark lists all keys." }, this.grid, this.help),
      this.legend.element, this.timeline.element, this.saves.problem);
    attachKeys(this.root, this.actions(() => this.cells[0]));
    wear(this.root, ["stage.css", "saves.css", "rack.css"], () => this.#resized());
  }

  // ---- life ----------------------------------------------------------------------------------------------------------

  attach(parent) {
    super.attach(parent);
    for (const cell of this.cells) cell.feed.start();
  }

  away() { for (const cell of this.cells) cell.feed.stop(); }

  renew() {
    for (const cell of this.cells) cell.stale = true;
    this.wake();
  }

  /** `runs`: [{run, text, whole, ink}] in order; `parted`: where they part, or null; another `replay` plays again. */
  update({ base, runs, parted, replay, alone = false }) {
    if (alone) this.saves.alone();
    this.runs = runs;
    const before = this.cells, again = before.length > 0 && this.replay !== replay;
    this.base = base ?? "";
    this.replay = replay;
    this.parted = parted;
    this.cells = runs.map(({ run }) => before.find((cell) => cell.run === run) ?? this.#cell(run));
    for (const cell of before) if (!this.cells.includes(cell)) cell.feed.stop();
    this.cells.forEach((cell, i) => cell.name(runs[i]));
    const same = this.cells.length === before.length && this.cells.every((cell, i) => cell === before[i]);
    if (!same) {
      this.grid.replaceChildren(...this.cells.map((cell) => cell.element));
      mark(this.grid, "data-count", this.cells.length);
      this.player.restart();
      this.player.playing = this.player.live = this.begun = false;
      this.looking = null;
      this.pinTo(null);
    } else if (again && !this.open) {
      this.player.seek(0);
      if (!this.still.matches) this.player.toggle(false);
    }
    for (const cell of this.cells) cell.feed.start();
    this.heard();
  }

  #cell(run) {
    const cell = new Cell(this, run);
    attachHands(cell.picture.canvas, this.actions(() => cell));
    return cell;
  }

  /** A run has said something. */
  heard() {
    const first = this.cells.find((cell) => cell.names.length);
    if (first && this.names.join("\n") !== first.names.join("\n")) {
      this.names = first.names;
      this.hidden.clear();
      this.focus = -1;
      this.legend.build(this.names);
    }
    const [one, ...others] = this.cells.map(({ feed }) => feed.info?.labels.join());
    this.alike = others.every((labels) => labels === one); // equal recipes show equal samples, whatever the loss
    this.#begin();
    this.#setFrames();
    this.#turn3d();
    this.wake();
    mark(this.root, "data-snapshots", this.cells.length ? Math.min(...this.cells.map(({ frames }) => frames.length)) : 0);
    mark(this.root, "data-open", this.open);
  }

  /** Runs that are over play once from the start; while one is going on, all are shown as far as that one is. */
  #begin() {
    if (this.begun || !this.cells.length) return;
    const known = this.cells.every(({ feed }) => feed.missing || feed.status.state !== "opening"), trains = known && this.open;
    if (!trains && !this.cells.every(({ feed }) => feed.missing || feed.complete)) return;
    this.begun = true;
    if (trains) this.player.live = true;
    else if (!this.still.matches) this.player.playing = true;
    this.#wind();
    if (!trains && this.still.matches) this.player.position = this.player.end;
    if (!this.camera.touched) this.face(0);
  }

  #setFrames() {
    const { lead } = this, count = lead?.frames.length ?? 0;
    if (this.shownLead === lead && this.shownCount === count && this.shownParted === this.parted) return;
    [this.shownLead, this.shownCount, this.shownParted] = [lead, count, this.parted];
    this.timeline.setFrames(lead?.frames ?? []);
    this.fork.hidden = this.parted === null || count < 2 || lead.newest.step < this.parted;
    if (this.fork.hidden) return;
    this.fork.style.left = `calc(8px + (100% - 16px) * ${placeOf(lead.frames, this.parted) / (count - 1)})`;
    this.fork.title = `step ${this.parted}: up to here both runs are one`;
  }

  /** Turns every sphere to the first by where the newest snapshots have their classes. */
  #turn3d() {
    const first = this.cells.find((cell) => cell.frames.length);
    const to = first?.dim === 3 ? places(first.newest) : null;
    for (const cell of this.cells) {
      const alike = to && cell !== first && cell.dim === 3 && cell.newest?.c === first.newest.c;
      cell.camera.by = this.aligned && alike ? alignment(places(cell.newest), to) : null;
    }
  }

  // ---- time ----------------------------------------------------------------------------------------------------------

  get open() { return this.cells.some((cell) => cell.open); }
  get moving() { return this.player.moving || this.camera.moving; }

  /** The run whose snapshots the timeline counts: the longest, the first among equals. */
  get lead() { return this.cells.reduce((best, cell) => (!best || cell.frames.length > best.frames.length ? cell : best), null); }

  /** How far the clock goes: to the end; or, while all follow the run that is training, as far as that one has come. */
  #wind() {
    const { player, lead } = this, frames = lead?.frames ?? [];
    const ahead = player.live ? this.cells.find((cell) => ["running", "placing", "paused"].includes(cell.status.state) && cell.frames.length) : null;
    const count = ahead ? frames.filter(({ step }) => step <= ahead.newest.step).length : frames.length;
    if (count < player.count) { player.restart(); player.count = count; } else player.arrived(count, performance.now());
  }

  /** The training step that is shown; between two snapshots with its fraction. */
  get step() {
    const frames = this.lead?.frames ?? [], { index, position, end } = this.player;
    if (!frames.length) return 0;
    return frames[index].step + (frames[Math.min(index + 1, end)].step - frames[index].step) * (position - index);
  }

  // ---- what the reader does ------------------------------------------------------------------------------------------

  #setAligned(aligned) {
    this.aligned = aligned;
    this.#turn3d();
    this.wake();
  }

  pinTo(i) {
    this.pin = this.alike ? i : null;
    for (const cell of this.cells) cell.pinned();
  }

  face(ms) {
    const first = this.cells.find((cell) => cell.frames.length);
    if (first?.dim === 3) this.camera.face(first.newest.prototype, ms);
  }

  // ---- showing -------------------------------------------------------------------------------------------------------

  #resized() {
    const room = this.root.clientWidth;
    mark(this.root, "data-room", room > 900 ? "wide" : room > 560 ? "middle" : "narrow");
    this.renew();
  }

  tick(seconds) {
    this.#wind();
    super.tick(seconds);
  }

  render() {
    if (!this.theme || !this.cells.length) return;
    const { step, lead, looking } = this, others = this.cells.filter((cell) => cell !== looking);
    if (others.length < this.cells.length) looking.render(step);
    const hover = others.length < this.cells.length ? looking.picture.hover : null;
    for (const cell of others) {
      cell.picture.pointer = null;
      cell.pointed = hover?.kind === "sample" && this.alike ? hover.index : -1;
      cell.render(step);
    }
    const frame = lead.frames[this.player.index], shown = this.cells.find((cell) => cell.picture.shown);
    const drawable = this.cells.some((cell) => cell.frames.length && cell.picture.drawable);
    mark(this.root, "data-step", frame?.step ?? "");
    this.tools.update(shown?.dim ?? 3, this.options, !frame || drawable);
    this.align.hidden = (shown?.dim ?? 3) !== 3 || this.cells.length < 2;
    mark(this.align, "aria-pressed", this.aligned);
    this.timeline.update(frame, this.open);
    if (shown) this.legend.update(this.counts(shown.feed.info), shown.picture.inks, this.hidden, this.names);
  }

  /** All pictures as they lie here, with their titles, as one PNG at twice its size. */
  #picture() {
    const { grid, theme } = this, { width, height, left, top } = grid.getBoundingClientRect(), rim = 14, foot = 16;
    const canvas = h("canvas", { width: (width + 2 * rim) * 2, height: (height + foot + 2 * rim) * 2 }), ctx = canvas.getContext("2d");
    ctx.fillStyle = css(theme.background);
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.scale(2, 2);
    ctx.translate(rim, rim);
    for (const cell of this.cells) {
      const place = cell.picture.canvas.getBoundingClientRect(), x = place.left - left, y = place.top - top;
      ctx.drawImage(cell.picture.image(2), x, y, place.width, place.height);
      label(ctx, cell.title.textContent, x, y - 9, theme, { ink: theme.text, weight: 600, size: 13 });
      label(ctx, cell.finding.textContent, x, y + place.height + 17, theme);
    }
    label(ctx, `losslab · step ${Math.round(this.step)}`, width / 2, height + 18, theme, { align: "center" });
    return new Promise((resolve) => canvas.toBlob(resolve));
  }

  /** All runs at the step that is shown: as they are seen, drawn in vectors, as a page that plays them, or as one table. */
  async #file(kind) {
    const { base, runs, parted } = this, cells = this.cells.filter((cell) => cell.picture.shown);
    if (!cells.length) return null;
    const blob = kind === "html" ? await page(base, "rack", { runs, parted }) : kind === "svg" ? await this.#vector(cells) : kind === "png" ? await this.#picture()
      : csv(...cells.map(({ picture: { shown, shows }, feed, title }) => ({ run: title.textContent, frame: shown.frame, info: feed.info,
        members: grouped(shown.frame, shows) })));
    return { blob, name: `losslab-compare-step-${Math.round(this.step)}.${kind}` };
  }

  /** The link of the same runs at this step as a figure for paper. */
  #sent() {
    const { base, cells: [{ camera, picture: { shown } } = { picture: {} }], options, hidden, runs } = this;
    if (!shown) return null;
    const said = { figure: "SideBySide", runs: runs.map(({ run }) => run), step: Math.round(this.step), ...chosen(options, hidden, shown.frame.dim) };
    return paper(base, { ...said, camera: numbers(camera.matrix) });
  }

  /** The runs side by side as they lie here, each as the server draws it. */
  async #vector(cells) {
    const top = cells[0].element.offsetTop, across = cells.filter(({ element }) => element.offsetTop === top).length, head = 30;
    const drawn = await Promise.all(cells.map(async ({ run, camera, picture: { shown }, finding }) =>
      (await drawing(this.base, { run, snapshot: shown.frame.index, camera: camera.matrix }, `Step ${shown.frame.step}: ${finding.textContent}.`)).text()));
    const [width, height] = [across * WIDTH, Math.ceil(cells.length / across) * (HEIGHT + head)];
    const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}` }, svg("rect", { width, height, fill: "#fff" }));
    drawn.forEach((text, i) => {
      const [x, y] = [(i % across) * WIDTH, Math.floor(i / across) * (HEIGHT + head)], inner = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
      inner.setAttribute("x", x);
      inner.setAttribute("y", y + head);
      root.append(svg("text", { x: x + 30, y: y + 26, "font-size": 18, "font-weight": 600, "font-family": this.theme.font }, cells[i].title.textContent), inner);
    });
    return written(root);
  }
}

export default mounts(Rack);
