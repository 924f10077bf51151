// One picture of a board: its title, what it says, what it can be saved as, and the chart or ball itself.

import { Assume } from "./assume.js";
import { Ball } from "./ball.js";
import { h, say } from "./dom.js";
import { image, Plot } from "./plot.js";
import { Saves } from "./saves.js";

export class Panel {
  constructor({ view, title, ball = false, part = null, losses = true }, board) {
    Object.assign(this, { view, part, losses, board });
    this.body = ball ? new Ball(board, this) : new Plot();
    this.assume = ball && "label" in board.data.values ? new Assume(board, () => this.body.camera?.matrix.slice(6)) : null;
    this.title = h("h3", {}, title);
    this.says = h("p", { className: "says", "aria-live": "polite" });
    this.notes = h("p", { className: "notes" });
    const { element: menu } = new Saves(title, (kind) => this.#saved(kind), { complain: (text) => board.complain(text), send: () => board.sent(this.view, this.body.stance) });
    this.element = h("section", { className: `panel ${ball ? "is-ball" : "is-chart"}`, "data-view": view },
      h("header", {}, this.title, ...(this.body.tools ?? []), menu, this.assume?.element), this.body.element, this.says, this.notes);
    this.body.retheme?.(board.theme);
  }

  async show(sight) {
    say(this.title, sight.title);
    say(this.says, sight.says);
    say(this.notes, (sight.notes ?? []).join(" "));
    this.notes.hidden = !sight.notes?.length;
    this.body.element.setAttribute("aria-label", `${sight.title}. ${sight.says}`);
    this.assume?.show(sight.names, this.board.theme);
    if (this.element.classList.contains("is-ball")) this.#wear(Boolean(sight.ball));
    await this.body.show(sight);
  }

  /** Between the sphere and the plane a chart takes the ball's place, or the ball the chart's. */
  #wear(ball) {
    if (this.body instanceof Ball === ball) return;
    const before = this.body;
    [this.body, this.spare] = [this.spare ?? new Plot((...at) => this.assume?.place(...at)), before];
    before.element.replaceWith(this.body.element);
    for (const tool of (ball ? this.body : before).tools) tool.hidden = !ball;
  }

  retheme(theme) { this.body.retheme?.(theme); }

  resized() { this.body.resized?.(); }

  rest() { this.body.rest?.(); }

  remove() { for (const body of [this.body, this.spare]) body?.remove?.(); }

  async #saved(kind) {
    return { blob: await this.#file(kind), name: `losslab-${this.title.textContent.toLowerCase().replace(/[^\w]+/g, "-")}.${kind}` };
  }

  async #file(kind) {
    if (kind === "png" && this.body.png) return this.body.png();
    const stance = { dark: false, ...this.body.stance }; // files are for paper
    if (kind !== "png" && kind !== "svg") return (await this.board.file(kind, this.view, stance)).blob();
    const figure = await (await this.board.file("figure", this.view, stance)).json();
    return image(figure, kind, this.says.textContent);
  }
}
