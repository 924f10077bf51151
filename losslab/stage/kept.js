// What a page mounts. Streamlit calls the default export of a script again at every change of data or theme, and may
// unmount and remount it when reruns overlap; so whatever is mounted stays in a map under its own key and is only ever
// re-appended, never rebuilt.

import { readTheme } from "./ink.js";
import { applyTheme } from "./layout.js";

const AWAY = 4000; // ms without a place on the page, after which what is kept is away

/** What Streamlit calls, for one kind of what is kept. */
export function mounts(Kind) {
  const all = new Map();
  return ({ data, parentElement, setStateValue }) => {
    if (!all.has(data.key)) all.set(data.key, new Kind());
    const one = all.get(data.key);
    one.attach(parentElement);
    one.update(data, setStateValue);
    return () => one.detach(parentElement);
  };
}

/** A kind has a `root`, `update(data, setStateValue)`, `themed()` for after another theme, and `away()`. */
export class Kept {
  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.root.isConnected && this.#retheme());
  }

  attach(parent) {
    clearTimeout(this.leaving);
    if (this.root.parentNode !== parent) parent.append(this.root);
    this.#retheme();
  }

  detach(parent) {
    if (this.root.parentNode !== parent && this.root.isConnected) return; // already at its new place
    this.root.remove();
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => { if (!this.root.isConnected) this.away(); }, AWAY);
  }

  #retheme() {
    const theme = readTheme(this.root.getRootNode().host ?? this.root.parentElement ?? document.documentElement);
    const key = JSON.stringify(theme);
    if (key === this.themeKey) return;
    [this.themeKey, this.theme] = [key, theme];
    applyTheme(this.root, theme);
    this.themed();
  }
}
