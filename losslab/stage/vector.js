// Building SVG files without markup strings, as dom.js does for the page.

/** An element of SVG with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const written = (root) => new Blob([new XMLSerializer().serializeToString(root)], { type: "image/svg+xml" });
