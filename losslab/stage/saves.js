// What is shown as a file: the same four kinds everywhere, in one menu; and sent to the page of paper figures.

import { h, mark, save, say } from "./dom.js";
import { image } from "./plot.js";

const KINDS = [["png", "Picture (PNG)"], ["svg", "Vector (SVG)"], ["html", "Page (HTML)"], ["csv", "Numbers (CSV)"]];
const PAPER = ["paper", "Send to paper"]; // as a figure of a paper, on a page of its own
const SERVED = ["svg", "html"]; // what a run needs the server for
const AWAY = "The server does not answer; save again when it is back.";

export class Saves {
  problem = h("p", { className: "problem", role: "alert", hidden: true });

  /** A menu for files of `what`. `make(kind)` gives {blob, name}, or null while nothing is shown; what goes wrong is
   *  said by `complain`, or in `problem`. `send()` gives the link of what is shown as a paper figure. */
  constructor(what, make, { complain = (text) => { say(this.problem, text); this.problem.hidden = !text; }, send } = {}) {
    Object.assign(this, { make, complain, send });
    this.summary = h("summary", { title: `Save ${what}`, "aria-label": `Save: ${what}` }, "Save");
    this.buttons = [...KINDS, ...(send ? [PAPER] : [])].map(([kind, text]) => h("button", { type: "button", "data-kind": kind,
      onclick: () => { this.#close(); kind === PAPER[0] ? this.#send() : this.#save(kind); } }, text));
    this.element = h("details", { className: "save" }, this.summary, h("div", { className: "choices" }, ...this.buttons));
    this.element.addEventListener("focusout", (event) => { if (!this.element.contains(event.relatedTarget)) this.element.open = false; });
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#close();
      if (["Escape", "Enter", " "].includes(event.key)) event.stopPropagation(); // they would play or unpin besides
    });
  }

  /** Closes the menu; who was in it is where it was opened. */
  #close() {
    this.element.open = false;
    this.summary.focus();
  }

  /** Leaves out what a page without a server cannot make. */
  alone() { for (const button of this.buttons) button.hidden = [...SERVED, PAPER[0]].includes(button.dataset.kind); }

  async #save(kind) {
    this.complain("");
    say(this.summary, "Saving …");
    mark(this.element, "aria-busy", true);
    try {
      const made = await this.make(kind);
      if (made) save(made.blob, made.name);
    } catch (error) { this.complain(error.message); }
    say(this.summary, "Save");
    mark(this.element, "aria-busy", false);
  }

  /** In a tab of its own, so that what is going on here goes on; it opens at once, for later it would be blocked. */
  async #send() {
    this.complain("");
    const tab = open("", "_blank");
    try {
      const link = await this.send();
      if (link && tab) tab.location = link;
      else tab?.close();
    } catch (error) {
      tab?.close();
      this.complain(error.message);
    }
  }
}

/** The link of the page of paper figures for what is said: by name texts, or lists of them. */
export function paper(base, said) {
  const link = new URLSearchParams();
  for (const [name, value] of Object.entries(said)) for (const each of [value].flat()) link.append(name, each);
  return `${base}/paper_figures?${link}`;
}

/** Numbers as a link has them. */
export const numbers = (values) => Array.from(values, (value) => Number(value.toFixed(5))).join();

/** What of a picture's options its figure knows, as texts. */
export const chosen = ({ colour, split, zones, plane }, hidden, dim) =>
  ({ colour, split, zones, plane: Boolean(plane) && dim === 2, ...(hidden.size ? { hidden: [...hidden].join() } : {}) });

/** What the server answers to a wish. */
export const asked = (path, wish) =>
  fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(wish) });

/** What the server makes of a wish; throws with one sentence where it makes nothing. */
export async function made(path, wish) {
  const answer = await asked(path, wish).catch(() => { throw new Error(AWAY); });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? AWAY);
  return answer;
}

/** A page that stands alone: `kind` and `wish` as in losslab/live/taken.py. */
export const page = async (base, kind, wish) => (await made(`${base}/losslab/pages/${kind}`, wish)).blob();

/** A run at one of its snapshots, drawn by the same view as on the page Decision boundaries, with a sentence below. */
export async function drawing(base, { run, snapshot, camera }, says) {
  const wish = { views: ["Boundaries"], losses: [], values: { run, snapshot }, camera, dark: false }; // files are for paper
  return image(await (await made(`${base}/losslab/sights/figure`, wish)).json(), "svg", says);
}
