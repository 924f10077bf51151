// The elements around the picture: toolbar, legend, help, messages. What they do is decided in stage.js.

import { choice, h, mark, say } from "./dom.js";
import { css } from "./ink.js";

const STATES = { lost: "reconnecting", opening: "opening", queued: "waiting", running: "training", placing: "placing", paused: "paused", done: "finished",
  stopped: "stopped", failed: "failed", interrupted: "interrupted" };

const KEYS = [["drag", "turn the sphere, move the plane"], ["wheel, pinch, + −", "zoom"], ["arrow keys", "turn 10° (shift: 1°)"],
  ["f", "flip to the far side"],
  ["drag a prototype, t", "in a tour: bring it into view, wander"], ["double-click, r", "reset the view"], ["space", "play or pause"], ["[  ]", "one snapshot back, forward"],
  ["home, end", "first, newest snapshot"], ["1 … 9, 0", "only that class, all again"], ["click a sample", "pin it, show its trail"],
  ["Esc", "unpin, close this"], ["click a class", "hide or show (alt: only that one)"]];

const ZONES = "Where a class wins by its margin";
const UNKNOWN = "This loss's zones depend on more than one angle: not drawn";

export function toolbar(options, act) {
  const toggle = (name, text, title) => {
    const button = h("button", { type: "button", className: "toggle", title, onclick: () => act.set(name, !options[name]) }, text);
    return [name, button];
  };
  const colour = choice("Colour", [["class", "class"], ["gap", "gap"], ["loss", "loss"]], options.colour, (v) => act.set("colour", v));
  const split = choice("Samples", [["all", "all"], ["train", "train"], ["test", "test"]], options.split, (v) => act.set("split", v));
  const view = choice("View", [[false, "circle"], [true, "plane"]], options.plane, (v) => act.set("plane", v));
  const toggles = Object.fromEntries([toggle("boundaries", "Boundaries", "Where the predicted class changes"),
    toggle("zones", "Margin zones", ZONES),
    toggle("both", "Both sides", "Two equal-area maps beside the sphere, so that nothing is hidden")]);
  const plain = (text, title, onclick) => h("button", { type: "button", className: "toggle plain", title, onclick }, text);
  const help = plain("?", "Keyboard help", act.help);
  for (const [name, value] of [["aria-label", "Keyboard help"], ["aria-expanded", false]]) mark(help, name, value);
  const element = h("div", { className: "toolbar", role: "toolbar", "aria-label": "View" }, colour.group, split.group, view.group,
    h("div", { className: "toggles" }, ...Object.values(toggles)),
    h("div", { className: "actions" }, plain("Recentre", "Reset the view (r)", act.reset), act.saves, help));
  return {
    element, help,
    /** `known`: whether the margin zones of this loss can be drawn at all. Of a `map` there are none, nor boundaries. */
    update(dim, shown, known, map = false) {
      colour.set(shown.colour);
      split.set(shown.split);
      view.set(shown.plane);
      view.group.hidden = dim !== 2 || map;
      toggles.boundaries.hidden = toggles.zones.hidden = map;
      toggles.both.hidden = dim === 2;
      toggles.zones.disabled = !known;
      mark(toggles.zones, "title", known ? ZONES : UNKNOWN);
      for (const [name, button] of Object.entries(toggles)) mark(button, "aria-pressed", Boolean(shown[name]) && !button.disabled);
    },
  };
}

export class Legend {
  constructor({ ontoggle, onisolate }) {
    this.element = h("div", { className: "legend", role: "group", "aria-label": "Classes" });
    Object.assign(this, { ontoggle, onisolate, chips: [] });
  }

  build(names) {
    this.chips = names.map((name, k) => {
      const swatch = h("span", { className: "swatch" }), count = h("span", { className: "count" });
      const button = h("button", { type: "button", className: "chip", title: "Click: hide or show. Alt-click, double-click or shift-enter: only this class",
        onclick: (event) => (event.altKey || event.shiftKey || event.detail === 2 ? this.onisolate(k) : this.ontoggle(k)) },
        swatch, h("span", {}, name), count);
      return { button, swatch, count };
    });
    this.element.replaceChildren(...this.chips.map(({ button }) => button));
  }

  update(counts, inks, hidden, names) {
    this.chips.forEach(({ button, swatch, count }, k) => {
      swatch.style.background = css(inks[k]);
      mark(button, "aria-pressed", !hidden.has(k));
      say(count, counts[k]);
      mark(button, "aria-label", `class ${names[k]}, ${counts[k]} samples`);
    });
  }
}

export function helpPanel() {
  return h("div", { className: "help", role: "dialog", "aria-label": "Keyboard help", hidden: true }, h("strong", {}, "Hands and keys"),
    h("dl", {}, ...KEYS.flatMap(([keys, what]) => [h("dt", {}, keys), h("dd", {}, what)])));
}

/** What is known of a run itself, on its badge and its banner; its `feed` is empty where there is none. */
export function report({ badge, banner }, { info, lost, missing }, status, frames) {
  const state = lost ? "lost" : info?.recording ? "recording" : status.state;
  say(badge, STATES[state] ?? state);
  mark(badge, "data-state", state);
  say(banner, explain(status, { lost, missing, step: frames.at(-1)?.step ?? 0, frames: frames.length }));
  banner.hidden = !banner.textContent;
  mark(banner, "data-tone", status.state === "failed" ? "error" : "calm");
  mark(banner, "data-empty", frames.length === 0);
}

/** One calm sentence about the run, or "" when the picture says it all. */
function explain({ state, reason, queue }, { lost, missing, step, frames }) {
  if (state === "empty") return "Nothing to show yet. Start a run or open a recording.";
  const reached = frames > 0 && !reason?.includes("kept") ? ` Everything up to step ${step} is kept.` : "";
  if (missing) return "This run is not on the server (any more).";
  if (lost) return `Connection lost; reconnecting.${frames > 0 ? " What has arrived stays here." : ""}`;
  if (state === "queued") return `Waiting for a free place: ${queue > 1 ? `${queue - 1} ${queue === 2 ? "run is" : "runs are"} ahead` : "this run is next"}.`;
  if (state === "opening" || (["running", "placing"].includes(state) && frames === 0)) return frames === 0 ? reason || "Opening the run …" : "";
  if (state === "paused") return `Paused at step ${step}.`;
  if (state === "stopped") return reason || `Stopped at step ${step}.`;
  if (state === "failed") return `${reason || "The run failed."}${reached}`;
  if (state === "interrupted") return `${reason || "The run was interrupted."}${reached}`;
  return "";
}

/** The theme, as custom properties for stage.css. */
export function applyTheme(root, theme) {
  const { dark, font, border, ...inks } = theme;
  for (const name of ["background", "text", "primary", "secondary", "soft", "hair", "inside", "wrong"]) root.style.setProperty(`--ll-${name}`, css(inks[name]));
  root.style.setProperty("--ll-border", border);
  root.style.setProperty("--ll-font", font);
  root.style.colorScheme = dark ? "dark" : "light";
}
