// What the gallery can be taken home as: a table, a picture, a page.

import { caption, gapOf, GROUPS, lossOf, mislabelled } from "./gallery.js";
import { h } from "./dom.js";
import { css } from "./ink.js";
import { label } from "./marks.js";
import { nearestOther } from "./stats.js";

const MOST = 60; // images of a group on a contact sheet

/** `members`: samples by group, in order; groups that are not chosen are empty. */
export function csv({ frame, info, members }) {
  const cell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const rows = members.flatMap((list, g) => list.map((i) => [i, info.classes[info.labels[i]], info.classes[(info.truth ?? info.labels)[i]], info.split[i] ? "test" : "train",
    GROUPS[g][0], gapOf(frame, i).toFixed(4), lossOf(frame, i).replace("≥ ", ""), info.classes[nearestOther(frame, i, info.labels[i])]]));
  return [["sample", "label", "truth", "split", "group", "gap", "loss", "nearest_rival"], ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

const heading = ({ frame, info }) => `${info.title} · step ${frame.step}`;

/** The contact sheet as a canvas. */
export function picture(scene, sheet, theme) {
  const { frame, info, members } = scene, { width: w, height: t, columns } = info.sprite, [cell, wide, row, scale] = [56, 15, 86, 2];
  const parts = GROUPS.map(([name], g) => ({ name, all: members[g].length, list: members[g].slice(0, MOST) })).filter(({ list }) => list.length);
  const pitch = cell + 12, width = wide * pitch + 28, height = 54 + parts.reduce((sum, { list }) => sum + 34 + Math.ceil(list.length / wide) * row, 0);
  const canvas = h("canvas", { width: width * scale, height: height * scale }), ctx = canvas.getContext("2d");
  ctx.scale(scale, scale);
  ctx.fillStyle = css(theme.background);
  ctx.fillRect(0, 0, width, height);
  label(ctx, heading(scene), 20, 34, theme, { weight: 600, size: 17, ink: theme.text });
  let y = 54;
  for (const { name, all, list } of parts) {
    label(ctx, `${name}: ${all}${all > list.length ? `, the first ${list.length}` : ""}`, 20, y + 20, theme, { weight: 600, size: 14, ink: theme.text });
    y += 34;
    list.forEach((i, at) => {
      const [left, top] = [20 + (at % wide) * pitch, y + Math.floor(at / wide) * row];
      ctx.drawImage(sheet, (i % columns) * w, Math.floor(i / columns) * t, w, t, left, top, cell, cell);
      if (mislabelled(info, i)) { ctx.strokeStyle = css(theme.wrong); ctx.lineWidth = 3; ctx.strokeRect(left, top, cell, cell); }
      label(ctx, caption(frame, i, info), left + cell / 2, top + cell + 14, theme, { align: "center", ink: theme.text, size: 12 });
      label(ctx, gapOf(frame, i).toFixed(2).replace("-", "−"), left + cell / 2, top + cell + 26, theme, { align: "center", size: 10 });
    });
    y += Math.ceil(list.length / wide) * row;
  }
  return canvas;
}

/** The contact sheet as a page that needs nothing else. Names of a run are only ever text in it. */
export function page(scene, sheet, theme) {
  const { frame, info, members } = scene, { width: w, height: t, columns } = info.sprite;
  const image = h("canvas", { width: sheet.naturalWidth, height: sheet.naturalHeight });
  image.getContext("2d").drawImage(sheet, 0, 0);
  const style = `body { font: 14px system-ui, sans-serif; margin: 24px; color: ${css(theme.text)}; background: ${css(theme.background)} }
    section { display: flex; flex-wrap: wrap; gap: 10px } figure { margin: 0; text-align: center; font-size: 12px } h2 { font-size: 15px; margin: 20px 0 8px }
    i { display: block; width: 56px; height: 56px; margin: auto; image-rendering: pixelated; background-image: url(${image.toDataURL()}); background-size: ${columns * 56}px auto }
    .bad i { outline: 3px solid ${css(theme.wrong)} }`;
  const thumb = (i) => h("figure", { className: mislabelled(info, i) ? "bad" : "", title: `sample ${i}, gap ${gapOf(frame, i).toFixed(4)}, loss ${lossOf(frame, i)}` },
    h("i", { style: `background-position: ${-(i % columns) * 56}px ${-Math.floor(i / columns) * 56}px` }), caption(frame, i, info));
  const made = document.implementation.createHTMLDocument(heading(scene));
  made.head.append(h("meta", { charset: "utf-8" }), h("style", {}, style));
  made.body.append(h("h1", {}, heading(scene)), ...GROUPS.flatMap(([name], g) => (members[g].length
    ? [h("h2", {}, `${name}: ${members[g].length}`), h("section", {}, ...members[g].map(thumb))] : [])));
  return `<!doctype html>\n${made.documentElement.outerHTML}`;
}
