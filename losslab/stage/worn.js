// Style sheets of what is mounted. They arrive by <link>; once here their rules move into a <style>, which survives being
// re-appended without loading again and so without a flash.

import { beside } from "./beside.js";
import { h } from "./dom.js";

/** Hides `root` until all `sheets` (names of files) are there or have failed; then calls `then`. */
export function wear(root, sheets, then) {
  root.style.visibility = "hidden";
  let missing = sheets.length;
  const links = sheets.map((name) => h("link", { rel: "stylesheet", href: beside(name) }));
  for (const link of links) link.onload = link.onerror = () => {
    if (link.sheet) link.replaceWith(h("style", {}, [...link.sheet.cssRules].map((rule) => rule.cssText).join("\n")));
    if (--missing > 0) return;
    root.style.visibility = "";
    then();
  };
  root.prepend(...links);
}
