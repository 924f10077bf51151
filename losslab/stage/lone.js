// The ball of a board on a page of its own: it turns and zooms; its marks are those that it was saved with.

import { Ball } from "./ball.js";
import { h, say } from "./dom.js";
import { readTheme } from "./ink.js";
import { applyTheme } from "./layout.js";
import { wear } from "./worn.js";

/** `data`: {ball, title, says, notes, label, rotation, losses: [{title, values, formula}]}. */
export default function mount({ data, parentElement }) {
  const title = h("h3", {}, data.title), values = data.label === null ? {} : { label: data.label };
  const board = { theme: readTheme(parentElement), state: { values }, change() {} };
  const ball = new Ball(board, { title });
  const root = h("div", { className: "losslab-board", "data-testid": "board" }, h("section", { className: "panel is-ball" },
    h("header", {}, title, ball.sides), ball.element, h("p", { className: "says" }, data.says),
    ...data.notes.map((note) => h("p", { className: "notes" }, note)),
    ...data.losses.map(({ title, values, formula }) => h("p", { className: "notes" }, h("b", {}, title), values && `: ${values}. `, h("code", {}, formula)))));
  const show = () => {
    board.theme = readTheme(parentElement);
    applyTheme(root, board.theme);
    ball.retheme(board.theme);
  };
  parentElement.append(root);
  ball.element.setAttribute("aria-label", `${data.title}. ${data.says}`);
  wear(root, ["board.css"], () => {
    show();
    ball.show({ ball: data.ball });
    if (data.rotation) ball.camera.rotation = data.rotation;
    say(ball.hint, data.ball.dim === 2 ? "Drag to move." : "Drag to turn.");
    new ResizeObserver(() => ball.resized()).observe(ball.element);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}
