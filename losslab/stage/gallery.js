// The images of the snapshot that is shown, in three groups, ordered by gap: which are wrong, which stand inside the margin
// and which beyond it. Everything is read from the frames; the stage decides what is pinned.

import { h, mark, say } from "./dom.js";
import { css } from "./ink.js";
import { History } from "./history.js";
import { Saves } from "./saves.js";
import { nearestOther } from "./stats.js";

export const GROUPS = [["wrong", 2], ["inside the margin", 1], ["beyond", 0]]; // name, and state in a frame
const ROOM = 60; // images of a group that are shown before the reader asks for more
const SIZE = 44; // CSS pixels of a thumbnail

const number = (value) => value.toFixed(3).replace("-", "−");
export const gapOf = (frame, i) => frame.gap[i] / 8192;
export const lossOf = (frame, i) => (frame.loss[i] === 65535 ? "≥ 256" : (frame.loss[i] / 256).toFixed(3));

/** Samples by group, each ordered by gap, the smallest first. `shown(i)` says whether sample i counts. */
export function grouped(frame, shown) {
  const members = GROUPS.map(() => []);
  const group = [2, 1, 0]; // of a state
  for (let i = 0; i < frame.n; i++) if (shown(i)) members[group[frame.state[i]]].push(i);
  for (const list of members) list.sort((a, b) => frame.gap[a] - frame.gap[b] || a - b);
  return members;
}

/** What is written under an image: its label, and the class it is taken for when that is another. */
export function caption(frame, i, { labels, classes }) {
  const own = classes[labels[i]];
  return frame.state[i] === 2 ? `${own} as ${classes[nearestOther(frame, i, labels[i])]}` : own;
}

/** Was this sample given another label than it should have? */
export const mislabelled = (info, i) => Boolean(info.truth) && info.truth[i] !== info.labels[i];

class Group {
  room = ROOM;
  thumbs = [];

  constructor(name, parent) {
    Object.assign(this, { name, parent });
    this.heading = h("h4", {}, name);
    this.count = h("span", { className: "count" });
    this.grid = h("div", { className: "thumbs", role: "group", "aria-label": name });
    this.more = h("button", { type: "button", className: "more", onclick: () => { this.room += 4 * ROOM; parent.onchange(); } });
    this.element = h("section", { className: "samples" }, h("div", { className: "samples-head" }, this.heading, this.count), this.grid, this.more);
  }

  #thumb(at) {
    if (!this.thumbs[at]) {
      const face = h("span", { className: "face" }), says = h("span", { className: "says" }), flag = h("span", { className: "flag", "aria-hidden": "true" }, "≠");
      const button = h("button", { type: "button", className: "shot", role: "option", tabIndex: -1,
        onclick: () => this.parent.choose(this.thumbs[at].i), onpointerenter: () => this.parent.point(this.thumbs[at].i),
        onfocus: () => this.parent.point(this.thumbs[at].i) }, face, flag, says);
      this.thumbs[at] = { button, face, says, flag, i: -1 };
      this.grid.append(button);
    }
    return this.thumbs[at];
  }

  /** Shows the first of `members`; `pin` and `cursor` are samples. */
  update(members, { frame, info, inks, pin, cursor, sheet }) {
    const some = Math.min(members.length, this.room);
    for (let at = 0; at < some; at++) {
      const i = members[at], thumb = this.#thumb(at), text = caption(frame, i, info), wrong = mislabelled(info, i);
      thumb.button.hidden = false;
      if (thumb.i !== i || thumb.sheet !== sheet) {
        const { columns } = info.sprite;
        thumb.face.style.backgroundPosition = `${-(i % columns) * SIZE}px ${-Math.floor(i / columns) * SIZE}px`;
        [thumb.i, thumb.sheet] = [i, sheet];
      }
      thumb.button.style.setProperty("--ink", css(inks[info.labels[i]]));
      mark(thumb.button, "data-sample", i);
      mark(thumb.button, "aria-selected", i === pin);
      mark(thumb.button, "tabindex", i === cursor ? 0 : -1);
      mark(thumb.button, "aria-label", `${text}, sample ${i}, gap ${number(gapOf(frame, i))}${wrong ? `, really ${info.classes[info.truth[i]]}` : ""}`);
      thumb.flag.hidden = !wrong;
      say(thumb.says, text);
    }
    for (let at = some; at < this.thumbs.length; at++) [this.thumbs[at].button.hidden, this.thumbs[at].i] = [true, -1];
    say(this.count, members.length);
    this.more.hidden = members.length <= some;
    say(this.more, `and ${members.length - some} more`);
  }

  /** The samples whose thumbnails are there, in order. */
  get members() { return this.thumbs.filter(({ i }) => i >= 0); }
}

export class Gallery {
  chosen = new Set(GROUPS.map(([name]) => name)); // groups
  only = false; // mislabelled ones
  cursor = -1; // the sample that Tab and the arrow keys are at
  members = GROUPS.map(() => []);

  /** `onpin(i)`: a sample was chosen. `onpoint(i)`: it is looked at (-1: none). `onchange()`: draw again. `onsave(kind)`
   *  makes a file of what is in the gallery. */
  constructor({ onpin, onpoint, onchange, onsave }) {
    Object.assign(this, { onpin, onpoint, onchange });
    this.groups = GROUPS.map(([name]) => new Group(name, this));
    this.chips = GROUPS.map(([name]) => {
      const count = h("span", { className: "count" });
      const button = h("button", { type: "button", className: "chip", "data-group": name.split(" ")[0], title: "Show or leave out this group",
        onclick: () => { if (!this.chosen.delete(name)) this.chosen.add(name); onchange(); } }, h("span", { className: "sign" }), h("span", {}, name), count);
      return { button, count };
    });
    this.noise = h("button", { type: "button", className: "toggle", hidden: true, onclick: () => { this.only = !this.only; onchange(); } },
      "mislabelled only", this.noiseCount = h("span", { className: "count" }));
    this.head = h("div", { className: "gallery-head", role: "toolbar", "aria-label": "Gallery" }, ...this.chips.map(({ button }) => button), this.noise);
    this.history = new History();
    this.list = h("div", { className: "gallery-list", role: "listbox", "aria-label": "Samples by gap, the smallest first", onkeydown: (event) => this.#key(event),
      onpointerleave: () => this.point(-1), onfocusout: () => this.point(-1) }, ...this.groups.map(({ element }) => element));
    this.telling = h("p", { className: "telling" });
    const saves = new Saves("the samples in the gallery", onsave);
    const foot = h("div", { className: "gallery-foot" }, this.telling, h("span", { className: "actions" }, saves.element));
    this.element = h("div", { className: "gallery" }, this.head, this.history.element, this.list, foot, saves.problem);
  }

  choose(i) {
    this.cursor = i;
    this.onpin(i);
  }

  point(i) {
    this.pointed = i;
    this.#tell();
    this.onpoint(i);
  }

  /** Draws the gallery of a snapshot. `shown(i)` says which samples the rest of the stage shows. */
  update({ frame, frames, info, inks, shown, pin, sheet, theme, position }) {
    const focused = this.list.contains(this.#focus), fresh = this.pin !== pin;
    this.scene = { frame, info };
    this.pin = pin;
    const noisy = Boolean(info.truth), all = grouped(frame, shown), bad = (i) => mislabelled(info, i);
    this.noise.hidden = !noisy;
    mark(this.noise, "aria-pressed", this.only && noisy);
    if (noisy) say(this.noiseCount, all.reduce((sum, list) => sum + list.filter(bad).length, 0));
    this.members = noisy && this.only ? all.map((list) => list.filter(bad)) : all;
    if (fresh && pin !== null) this.#makeRoom(pin);
    const there = this.groups.flatMap((group, g) => (this.chosen.has(group.name) ? this.members[g].slice(0, group.room) : []));
    if (!there.includes(this.cursor)) this.cursor = there.includes(pin) ? pin : there[0] ?? -1;
    this.list.style.setProperty("--sheet", `url("${sheet.src}")`);
    this.list.style.setProperty("--sheet-width", `${info.sprite.columns * SIZE}px`);
    this.groups.forEach((group, g) => {
      const open = this.chosen.has(group.name);
      group.element.hidden = !open;
      mark(this.chips[g].button, "aria-pressed", open);
      say(this.chips[g].count, this.members[g].length);
      mark(this.element, `data-${group.name.split(" ")[0]}`, this.members[g].length);
      if (open) group.update(this.members[g], { frame, info, inks, pin, cursor: this.cursor, sheet });
    });
    if (focused) this.#thumb(this.cursor)?.button.focus({ preventScroll: true }); // the sample keeps it, wherever it has moved
    this.history.update(pin, { frames, info, position, theme, sheet, caption: pin === null ? "" : caption(frame, pin, info) });
    if (fresh && pin !== null) this.#scrollTo(pin);
    this.#tell();
  }

  /** All members by group; groups that are left out are empty. */
  get seen() { return this.members.map((list, g) => (this.chosen.has(GROUPS[g][0]) ? list : [])); }

  get #focus() { return this.element.getRootNode().activeElement; }

  #thumb(i) {
    for (const group of this.groups) if (this.chosen.has(group.name)) for (const thumb of group.members) if (thumb.i === i) return thumb;
    return null;
  }

  #makeRoom(i) {
    this.members.forEach((list, g) => {
      const rank = list.indexOf(i);
      if (rank >= 0) this.groups[g].room = Math.max(this.groups[g].room, Math.ceil((rank + 1) / ROOM) * ROOM);
    });
  }

  #scrollTo(i) {
    const thumb = this.#thumb(i)?.button;
    if (!thumb) return;
    const box = this.list.getBoundingClientRect(), at = thumb.getBoundingClientRect();
    if (at.top < box.top) this.list.scrollTop -= box.top - at.top + 30; // below the heading that stays
    else if (at.bottom > box.bottom) this.list.scrollTop += at.bottom - box.bottom + 8;
  }

  /** One line about the sample under the pointer or the cursor. */
  #tell() {
    const { frame, info } = this.scene ?? {}, i = this.pointed ?? -1;
    if (!frame || i < 0) { say(this.telling, "Click an image to pin it; arrow keys move, Enter pins."); return; }
    const truth = mislabelled(info, i) ? ` · really ${info.classes[info.truth[i]]}` : "";
    say(this.telling, `${info.split[i] ? "test" : "train"} sample ${i} · gap ${number(gapOf(frame, i))} · loss ${lossOf(frame, i)} · `
      + `nearest other ${info.classes[nearestOther(frame, i, info.labels[i])]}${truth}`);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !event.target.classList.contains("shot")) return;
    const all = this.groups.flatMap((group) => (this.chosen.has(group.name) ? group.members : [])), at = all.findIndex(({ button }) => button === event.target);
    const row = (by) => { // the thumbnail of the next row that is nearest to this one's column
      const here = all[at].button.getBoundingClientRect(), middle = ({ button }) => { const box = button.getBoundingClientRect(); return [box.left - here.left, box.top - here.top]; };
      const beyond = all.map((thumb) => [thumb, ...middle(thumb)]).filter(([, , y]) => y * by > 4);
      const next = Math.min(...beyond.map(([, , y]) => y * by));
      return beyond.filter(([, , y]) => y * by < next + 4).sort((a, b) => Math.abs(a[1]) - Math.abs(b[1]))[0]?.[0];
    };
    const to = { ArrowLeft: () => all[at - 1], ArrowRight: () => all[at + 1], ArrowUp: () => row(-1), ArrowDown: () => row(1),
      Home: () => all[0], End: () => all.at(-1) }[event.key];
    const pins = event.key === "Enter" || event.key === " ";
    if (!to && !pins) return;
    event.preventDefault();
    event.stopPropagation();
    if (pins) { this.choose(all[at].i); return; }
    const next = to();
    if (!next) return;
    for (const { button, i } of all) mark(button, "tabindex", i === next.i ? 0 : -1);
    this.cursor = next.i;
    next.button.focus({ preventScroll: true });
    this.#scrollTo(next.i);
  }
}
