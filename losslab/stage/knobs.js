// The knobs of a board: a group for each loss, in its ink, and one for what the pictures share. What a knob is (range,
// symbol, unit, choices) is the server's word; values are written into the board's state as they are turned. Losses are
// added, copied, replaced and taken away here; what knobs a new one has is known once the page has answered.

import { h, mark, say, spoken } from "./dom.js";

const DIGITS = (step) => Math.min(4, Math.max(0, Math.ceil(-Math.log10(step || 0.01) - 1e-9)));

export class Knobs {
  constructor({ onturn, onset, onlosses }) {
    Object.assign(this, { onturn, onset, onlosses });
    this.groups = h("div", { className: "groups" });
    this.element = h("div", { className: "knobs", role: "group", "aria-label": "Knobs" }, this.groups);
    this.rows = [];
    this.titles = [];
  }

  /** Rows for every knob. `state` is the board's own: it is written to, never replaced. */
  build({ losses, controls, menu, most }, state) {
    const focus = this.#focused(), open = [...this.groups.querySelectorAll("details[open]")].map(folded);
    this.rows = [];
    this.state = state;
    const shared = controls.length ? [this.#group("picture", null, h("span", {}, "Picture"), controls, state.values)] : [];
    this.titles = losses.map(({ title }) => h("span", { className: "title" }, title));
    const groups = losses.map((loss, i) => {
      return this.#group(String(i), loss.ink, this.titles[i], loss.knobs, state.losses[i].knobs, this.#acts(loss, i, losses.length, most));
    });
    this.groups.replaceChildren(...shared, ...groups, ...(menu.length && most > 1 ? [this.#adder(menu, losses.length >= most, most)] : []));
    for (const each of this.groups.querySelectorAll("details")) each.open = open.includes(folded(each));
    this.element.hidden = !this.rows.length && !menu.length;
    this.show();
    this.#focus(focus);
  }

  /** Sets every widget to the state. */
  show() { for (const row of this.rows) row.show(); }

  /** What the losses are called now: their names say the knobs in which they differ. */
  call(names) { this.titles.forEach((title, i) => say(title, names[i] ?? title.textContent)); }

  #group(id, ink, title, knobs, values, acts = {}) {
    const often = knobs.filter(({ choices, name }) => !choices || !ink || name === "base"), rare = knobs.filter((knob) => !often.includes(knob));
    const rows = often.map((knob) => this.#row(knob, values, id)), more = rare.map((knob) => this.#row(knob, values, id));
    const swatch = ink ? h("span", { className: "swatch" }) : null;
    if (swatch) swatch.style.background = ink;
    const name = `losslab-group-${id}`;
    title.id = name;
    return h("section", { className: "group", role: "group", "aria-labelledby": name, "data-group": id }, h("div", { className: "heading" }, swatch, title, acts.heading), ...rows,
      h("div", { className: "foot" }, more.length ? h("details", {}, h("summary", { "data-act": "more" }, "Variants"), ...more) : null, knobs.length ? acts.foot : null));
  }

  /** What can be done with a loss, beside its title and under its knobs. */
  #acts({ title, source }, i, count, most) {
    const { losses } = this.state, [before, mine, after] = [losses.slice(0, i), losses[i], losses.slice(i + 1)];
    const act = (name, text, label, hint, disabled, next) =>
      h("button", { type: "button", "data-act": name, "aria-label": `${label} ${title}`, title: hint, disabled, onclick: () => this.onlosses(next()) }, text);
    const twin = () => [...before, mine, { name: mine.name, knobs: { ...mine.knobs } }, ...after];
    const paper = () => [...before, { name: mine.name, knobs: null, base: mine.knobs?.base, small: false }, ...after];
    return {
      heading: h("span", { className: "acts" },
        act("copy", "Copy", "Copy", count < most ? "The same loss once more, to turn its knobs against these" : `${most} losses are all that fit`, count >= most, twin),
        act("remove", "Remove", "Remove", count > 1 ? "Take it off the board" : "One loss must stay", count <= 1, () => [...before, ...after])),
      foot: h("span", { className: "acts" }, act("paper", "Paper's values", "The paper's values for", source, false, paper)),
    };
  }

  #adder(menu, full, most) {
    const families = [...new Set(menu.map(([, , family]) => family))];
    const choose = h("select", { "aria-label": "Loss to add", "data-act": "choose", disabled: full }, ...families.map((family) =>
      h("optgroup", { label: family }, ...menu.filter((each) => each[2] === family).map(([value, title]) => h("option", { value }, title)))));
    if (this.wanted) choose.value = this.wanted;
    choose.addEventListener("change", () => { this.wanted = choose.value; });
    const add = h("button", { type: "button", "data-act": "add", disabled: full, title: full ? `${most} losses are as many as can be told apart here` : "",
      onclick: () => this.onlosses([...this.state.losses, { name: choose.value, knobs: null }]) }, "Add");
    return h("section", { className: "group adder", "data-group": "add" }, h("div", { className: "heading" }, "Add a loss"), h("div", { className: "add" }, choose, add));
  }

  // ---- focus, which must outlive the widgets -------------------------------------------------------------------------

  #focused() {
    const active = this.groups.getRootNode().activeElement, group = active?.closest?.("[data-group]");
    return group && this.groups.contains(group) ? { group: group.dataset.group, what: active.dataset.knob ?? active.dataset.act } : null;
  }

  #focus(before) {
    if (!before) return;
    const last = this.titles.length - 1, group = before.group >= 0 ? Math.min(before.group, last) : before.group;
    const within = this.groups.querySelector(`[data-group="${group}"]`);
    const same = within?.querySelector(`[data-knob="${before.what}"], [data-act="${before.what}"]`);
    (same && !same.disabled ? same : within?.querySelector("input, select, button:enabled"))?.focus({ preventScroll: true });
  }

  // ---- one knob ------------------------------------------------------------------------------------------------------

  /** A number for each class, folded away: `values[name]` holds those that were set, the rest are the default. */
  #list(knob, values, group) {
    const at = (k) => values[knob.name]?.[k] ?? knob.default, body = h("div", {});
    const set = (k, value) => { values[knob.name] = Array.from({ length: Math.max(k + 1, values[knob.name]?.length ?? 0) }, (_, j) => (j === k ? value : at(j))); };
    const rows = [];
    const show = () => {
      const count = values[knob.each]?.length ?? 0;
      while (rows.length > count) rows.pop().element.remove();
      while (rows.length < count) {
        const k = rows.length, one = { get [k]() { return at(k); }, set [k](value) { set(k, value); } };
        const row = this.#row({ ...knob, kind: null, name: k, label: `Class ${k}`, said: `${knob.name}.${k}` }, one, group);
        rows.push({ element: row, ...this.rows.pop() });
        body.append(row);
      }
      for (const row of rows) row.show();
    };
    this.rows.push({ show });
    return h("details", { title: knob.help ?? "" }, h("summary", { "data-act": knob.name }, knob.label), body);
  }

  #row(knob, values, group) {
    if (knob.kind === "list") return this.#list(knob, values, group);
    const named = `${knob.label ?? spoken(knob.name)}${knob.symbol ? ` ${knob.symbol}` : ""}`;
    const set = (value, done) => {
      if (values[knob.name] !== value) { values[knob.name] = value; this.onturn(); } // a slider says its last value twice
      if (done) this.onset();
    };
    let input, show;
    const output = h("output", {});
    if (knob.choices) {
      const pick = () => {
        const value = knob.choices[input.selectedIndex];
        if (knob.name !== "base") set(value, true);
        else this.onlosses(this.state.losses.map((loss, i) => (String(i) === group ? { name: loss.name, knobs: null, base: value } : loss)));
      };
      input = h("select", { onchange: pick }, ...knob.choices.map((each) => h("option", { value: each }, worded(each))));
      show = () => { input.value = values[knob.name]; };
    } else if (typeof knob.default === "boolean") {
      input = h("input", { type: "checkbox", onchange: () => set(input.checked, true) });
      show = () => { input.checked = Boolean(values[knob.name]); };
    } else {
      const step = knob.step ?? 0.01;
      input = h("input", { type: "range", min: knob.low, max: knob.high, step });
      const read = () => (knob.whole ? Math.round(Number(input.value)) : Number(input.value));
      input.addEventListener("input", () => { set(read(), false); show(); });
      input.addEventListener("change", () => { set(read(), true); show(); });
      input.addEventListener("keydown", (event) => event.stopPropagation()); // arrows are its own
      show = () => {
        const value = values[knob.name];
        if (typeof value === "number") input.value = value;
        const text = typeof value === "number" ? `${value.toFixed(DIGITS(step))} ${knob.unit ?? ""}`.trim() : String(value);
        say(output, text);
        mark(input, "aria-valuetext", text);
      };
    }
    mark(input, "data-knob", knob.said ?? knob.name);
    const row = h("label", { className: `knob ${knob.choices ? "pick" : typeof knob.default === "boolean" ? "switch" : "range"}`, title: knob.help ?? "" },
      h("span", { className: "name" }, named), output, input);
    this.rows.push({ show });
    return row;
  }
}

/** Which of the folds an element is, whenever it is made anew. */
const folded = (each) => `${each.closest("[data-group]").dataset.group} ${each.firstChild.dataset.act}`;

/** A choice as it is read: numbers in groups of three. */
const worded = (value) => (typeof value === "number" ? value.toLocaleString("en").replaceAll(",", " ") : spoken(value));
