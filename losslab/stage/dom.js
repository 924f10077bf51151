// Building elements without markup strings: what comes from a run is only ever text.

/** An element with properties, attributes (aria-*, data-*, role, ...), listeners (on...) and children. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list" && name !== "form") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const PATHS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M6.5 5h4v14h-4zM13.5 5h4v14h-4z",
  back: "M17 5v14l-9-7zM6 5h2v14H6z",
  forward: "M7 5v14l9-7zM16 5h2v14h-2z",
  first: "M19 5v14l-7-7zM12 5v14l-7-7zM3.5 5h1.8v14H3.5z",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", width: 18, height: 18, "aria-hidden": "true" }))
    svg.setAttribute(key, value);
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Sets text or an attribute only when it changes, so that a frame that changes nothing costs no layout. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function mark(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** A row of buttons of which exactly one is pressed. */
export function choice(label, options, chosen, onpick) {
  const buttons = options.map(([value, text, title]) =>
    h("button", { type: "button", title: title ?? "", "aria-pressed": value === chosen, onclick: () => onpick(value) }, text));
  const group = h("div", { className: "choice", role: "group", "aria-label": label },
    h("span", { className: "choice-label" }, label), ...buttons);
  return { group, set: (value) => options.forEach(([one], i) => mark(buttons[i], "aria-pressed", one === value)) };
}

/** A knob of a wrapped loss as words; a number without digits that nobody reads (a schedule has many). */
export const spoken = (name) => name.replaceAll("_", " ");
export const short = (value) => (typeof value === "number" ? Number(value.toPrecision(3)) : value);

/** What a text in base64 stands for. */
export const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** Hands a blob to the reader as a file. */
export function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A title as a part of a file's name. */
export const fileName = (title) => title.replace(/[^\w.-]+/g, "-");
