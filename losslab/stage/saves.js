// What is shown as a file: the same four kinds everywhere, in one menu; and where the server draws it, as a figure.

import { h, mark, save, say } from "./dom.js";
import { image } from "./plot.js";

const KINDS = [["png", "Picture (PNG)"], ["svg", "Vector (SVG)"], ["html", "Page (HTML)"], ["csv", "Numbers (CSV)"]];
export const PAPER = ["pdf", "Paper (PDF)"]; // a figure at the width of a column
const SERVED = ["svg", "html"]; // what a run needs the server for
const AWAY = "The server does not answer; save again when it is back.";

export class Saves {
  problem = h("p", { className: "problem", role: "alert", hidden: true });

  /** A menu for files of `what`. `make(kind)` gives {blob, name}, or null while nothing is shown; what goes wrong is
   *  said by `complain`, or in `problem`. `more` are kinds besides the four. */
  constructor(what, make, complain = (text) => { say(this.problem, text); this.problem.hidden = !text; }, more = []) {
    Object.assign(this, { make, complain });
    this.summary = h("summary", { title: `Save ${what}`, "aria-label": `Save: ${what}` }, "Save");
    this.buttons = [...KINDS, ...more].map(([kind, text]) => h("button", { type: "button", "data-kind": kind,
      onclick: () => { this.element.open = false; this.#save(kind); } }, text));
    this.element = h("details", { className: "save" }, this.summary, h("div", { className: "choices" }, ...this.buttons));
    this.element.addEventListener("focusout", (event) => { if (!this.element.contains(event.relatedTarget)) this.element.open = false; });
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.element.open = false;
      if (["Escape", "Enter", " "].includes(event.key)) event.stopPropagation(); // they would play or unpin besides
    });
  }

  /** Leaves out what a page without a server cannot make. */
  alone() { for (const button of this.buttons) button.hidden = SERVED.includes(button.dataset.kind); }

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
}

/** What the server makes of a wish; throws with one sentence where it makes nothing. */
async function made(path, wish) {
  const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(wish) })
    .catch(() => { throw new Error(AWAY); });
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
