// Where a file lies that belongs to these scripts. A page that stands alone has another one of this name, which knows
// the files that lie in the page: see losslab/render/standalone.py.

export const beside = (name) => new URL(name, import.meta.url).href;
