// The board of losslab: knobs on one side, pictures on the other. Whatever is turned or dragged goes to the server,
// which draws with the real loss; the newest wish is sent as soon as the last one is answered, so that a slow machine
// skips pictures and never falls behind. At rest the page is told, for the link.

import { choice, h, mark, say } from "./dom.js";
import { Kept, mounts } from "./kept.js";
import { Knobs } from "./knobs.js";
import { Panel } from "./panel.js";
import { asked, made, paper } from "./saves.js";
import { wear } from "./worn.js";

const REST = 400; // ms without a change before the page hears of it
const RETRY = 2000; // ms until a server that did not answer is asked again
const AWAY = "The server does not answer; the picture is the last it drew, and is drawn anew when it is back.";

class Board extends Kept {
  state = { losses: [], values: {} }; // what the picture is made of: as the server is asked, and as the link says it
  panels = [];
  #asking = false;
  #again = false;
  #revision = null;
  #turn = 0; // how often losses were added, copied, replaced or taken away here

  constructor() {
    super();
    this.knobs = new Knobs({ onturn: () => this.turned(), onset: () => this.#rest(REST), onlosses: (losses) => this.#replace(losses) });
    this.parts = h("div", { className: "parts" });
    this.grid = h("div", { className: "panels" });
    this.problem = h("p", { className: "problem", role: "alert", hidden: true });
    this.root = h("div", { className: "losslab-board", "data-testid": "board" },
      this.knobs.element, h("div", { className: "side" }, this.parts, this.problem, this.grid));
    wear(this.root, ["board.css"], () => this.#resized());
    new ResizeObserver(() => this.#resized()).observe(this.root);
  }

  themed() {
    for (const panel of this.panels) panel.retheme(this.theme);
    if (this.panels.length) this.turned();
  }

  away() { for (const panel of this.panels) panel.rest(); }

  #resized() {
    const room = this.root.clientWidth;
    mark(this.root, "data-room", room > 860 ? "wide" : room > 520 ? "middle" : "narrow");
    for (const panel of this.panels) panel.resized();
  }

  /** What the page says: which pictures, which knobs, and (with a new `revision`) what they are set to. */
  update(said, setStateValue) {
    this.set = setStateValue;
    const data = { parts: [], menu: [], most: 1, turn: null, ...said }; // some pages have nothing to choose
    if (data.turn !== null && data.turn < this.#turn) return; // it has yet to hear of what was done here since
    this.data = data;
    const fresh = data.revision !== this.#revision;
    this.#revision = data.revision;
    const wanted = JSON.stringify([data.panels, data.parts]), offered = JSON.stringify(data.controls);
    if (fresh) this.state = this.#taken(data);
    if (wanted !== this.wanted) {
      this.wanted = wanted;
      for (const panel of this.panels) panel.remove();
      this.panels = data.panels.map((panel) => new Panel(panel, this));
      this.grid.replaceChildren(...this.panels.map((panel) => panel.element));
      this.#offer(data.parts);
    } else if (!fresh) {
      if (offered !== this.offered) this.#arrange(); // other knobs matter now
      this.offered = offered;
      return;
    }
    this.offered = offered;
    this.#arrange();
    this.turned();
  }

  /** The state as the page has it. When it answers a wish of this board, what was turned since then stays. */
  #taken({ losses, values, turn }) {
    const mine = turn === null ? { losses: [], values: {} } : this.state;
    return {
      losses: losses.map(({ name, values }, i) => (mine.losses[i]?.name === name && mine.losses[i].knobs ? mine.losses[i] : { name, knobs: { ...values } })),
      values: { ...values, ...mine.values },
    };
  }

  /** Losses were added, copied, replaced or taken away: the page answers with their knobs. */
  #replace(losses) {
    this.state.losses = losses;
    this.#turn++;
    this.turned();
    this.#rest(0);
  }

  /** Which pictures are seen together, where a page has more than fit. */
  #offer(parts) {
    this.part = parts.length ? choice("Show", parts.map((part) => [part, part]), "", (show) => { this.change({ show }); this.#arrange(); }) : null;
    this.parts.replaceChildren(...(this.part ? [this.part.group] : []));
  }

  get shown() { return this.panels.filter(({ part }) => !part || part === this.state.values.show); }

  #arrange() {
    const shown = this.shown, views = shown.map(({ view }) => view);
    this.part?.set(this.state.values.show);
    for (const panel of this.panels) panel.element.hidden = !shown.includes(panel);
    mark(this.grid, "data-count", shown.length);
    const chosen = shown.some(({ losses }) => losses) ? this.data : { losses: [], menu: [], most: 1 };
    this.knobs.build({ ...chosen, controls: this.data.controls.filter((knob) => !knob.views || knob.views.some((view) => views.includes(view))) }, this.state);
  }

  /** Something was turned or dragged: ask for the picture. */
  turned() {
    this.since ??= performance.now();
    if (this.#asking) { this.#again = true; return; }
    this.#ask();
  }

  /** A panel changed a value, such as where the prototypes are. */
  change(values, { done = true, wait = 0 } = {}) {
    Object.assign(this.state.values, values);
    this.knobs.show(this.state);
    this.turned();
    if (done) this.#rest(wait);
  }

  /** What the server is asked for, of these views. */
  #wish(views, more = {}) { return { views, ...this.state, dark: this.theme.dark, ...more }; }

  get #sights() { return `${this.data.base}/losslab/sights`; }

  /** What the server makes of one view for a file; throws with one sentence where it makes none. */
  file(kind, view, stance) { return made(`${this.#sights}/${kind}`, this.#wish([view], stance)); }

  /** The link of one view as a figure for paper. */
  async sent(view, stance) { return paper(this.data.base, await (await this.file("paper", view, stance)).json()); }

  async #answer(wish) {
    try {
      return await (await asked(this.#sights, wish)).json();
    } catch {
      throw new Error(AWAY); // nothing came, or a proxy's page instead of pictures
    }
  }

  async #ask() {
    this.#asking = true;
    clearTimeout(this.retry);
    const since = this.since, panels = this.shown;
    this.since = null;
    mark(this.root, "data-state", "asking");
    try {
      const said = await this.#answer(this.#wish(panels.map(({ view }) => view)));
      this.complain(said.error ?? "");
      if (!said.error) this.knobs.call(said.losses);
      // What is under the hand first: a chart takes as long again.
      for (const ball of said.error ? [] : [true, false])
        await Promise.all(said.sights.map((sight, i) => (Boolean(sight.ball) === ball ? panels[i].show(sight) : null)));
      requestAnimationFrame(() => setTimeout(() => {
        mark(this.root, "data-latency", Math.round(performance.now() - since)); // from the wish to the painted picture
        mark(this.root, "data-drawn", Number(this.root.dataset.drawn ?? 0) + 1);
      }));
      mark(this.root, "data-state", said.error ? "refused" : "shown");
    } catch (error) {
      this.complain(error.message);
      mark(this.root, "data-state", "lost");
      this.retry = setTimeout(() => this.turned(), RETRY);
    }
    this.#asking = false;
    if (this.#again) { this.#again = false; this.#ask(); }
  }

  /** One sentence about what went wrong; none when all is well. */
  complain(text) {
    say(this.problem, text);
    this.problem.hidden = !text;
  }

  #rest(wait) {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.set?.("state", structuredClone({ ...this.state, turn: this.#turn })), wait);
  }
}

export default mounts(Board);
