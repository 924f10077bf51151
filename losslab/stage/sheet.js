// What the gallery can be taken home as: a table, a picture, a page.

import { caption, gapOf, GROUPS, lossOf, mislabelled } from "./gallery.js";
import { h } from "./dom.js";
import { css } from "./ink.js";
import { label } from "./marks.js";
import { nearestOther } from "./stats.js";
import { svg, written } from "./vector.js";

const MOST = 60; // images of a group on a contact sheet
const CELL = 56; // pixels of an image on it

/** The samples of one scene, or of several with the name of each as its `run`. `members`: samples by group, in order;
 *  groups that are not chosen are empty. */
export function csv(...scenes) {
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const axes = [..."xyz"].slice(0, Math.max(...scenes.map(({ frame }) => frame.dim))), named = scenes[0].run === undefined ? [] : ["run"];
  const rows = scenes.flatMap(({ run, frame, info, members }) => members.flatMap((list, g) => list.map((i) => [...(run === undefined ? [] : [run]),
    i, info.classes[info.labels[i]], info.classes[(info.truth ?? info.labels)[i]], info.split[i] ? "test" : "train", GROUPS[g][0], gapOf(frame, i).toFixed(4),
    lossOf(frame, i).replace("≥ ", ""), info.classes[nearestOther(frame, i, info.labels[i])],
    ...axes.map((_, d) => (d < frame.dim ? (frame.position[i * frame.dim + d] / 32767).toFixed(4) : "")), ((frame.norm[i] / 65535) * frame.normMax).toPrecision(4)])));
  const heads = [...named, "sample", "label", "truth", "split", "group", "gap", "loss", "nearest_rival", ...axes, "length"];
  return new Blob([[heads, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" });
}

const heading = ({ frame, info }) => `${info.title} · step ${frame.step}`;

/** Where everything lies on the contact sheet: its size, texts {text, x, y, size, ...} and faces {i, x, y, wrong}. */
function laid(scene, theme) {
  const { frame, info, members } = scene, [wide, row, pitch] = [15, 86, CELL + 12];
  const parts = GROUPS.map(([name], g) => ({ name, all: members[g].length, list: members[g].slice(0, MOST) })).filter(({ list }) => list.length);
  const texts = [{ text: heading(scene), x: 20, y: 34, weight: 600, size: 17, ink: theme.text }], faces = [];
  let y = 54;
  for (const { name, all, list } of parts) {
    texts.push({ text: `${name}: ${all}${all > list.length ? `, the first ${list.length}` : ""}`, x: 20, y: y + 20, weight: 600, size: 14, ink: theme.text });
    y += 34;
    list.forEach((i, at) => {
      const [left, top] = [20 + (at % wide) * pitch, y + Math.floor(at / wide) * row], x = left + CELL / 2;
      faces.push({ i, x: left, y: top, wrong: mislabelled(info, i) });
      texts.push({ text: caption(frame, i, info), x, y: top + CELL + 14, align: "center", ink: theme.text, size: 12 },
        { text: gapOf(frame, i).toFixed(2).replace("-", "−"), x, y: top + CELL + 26, align: "center", size: 10, ink: theme.soft });
    });
    y += Math.ceil(list.length / wide) * row;
  }
  return { width: wide * pitch + 28, height: y, texts, faces };
}

/** Draws sample i's image from the sheet of all of them. */
function face(ctx, sheet, { width: w, height: t, columns }, i, x, y, wide, high) {
  ctx.drawImage(sheet, (i % columns) * w, Math.floor(i / columns) * t, w, t, x, y, wide, high);
}

/** The contact sheet as a canvas. */
export function picture(scene, sheet, theme) {
  const { width, height, texts, faces } = laid(scene, theme), scale = 2;
  const canvas = h("canvas", { width: width * scale, height: height * scale }), ctx = canvas.getContext("2d");
  ctx.scale(scale, scale);
  ctx.fillStyle = css(theme.background);
  ctx.fillRect(0, 0, width, height);
  for (const { i, x, y, wrong } of faces) {
    face(ctx, sheet, scene.info.sprite, i, x, y, CELL, CELL);
    if (wrong) { ctx.strokeStyle = css(theme.wrong); ctx.lineWidth = 3; ctx.strokeRect(x, y, CELL, CELL); }
  }
  for (const { text, x, y, ...how } of texts) label(ctx, text, x, y, theme, how);
  return canvas;
}

/** The contact sheet as SVG: text as text, every image in it. */
export function vector(scene, sheet, theme) {
  const { width, height, texts, faces } = laid(scene, theme), { sprite } = scene.info;
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": theme.font }, svg("rect", { width, height, fill: css(theme.background) }));
  const one = h("canvas", { width: sprite.width, height: sprite.height }), ctx = one.getContext("2d");
  for (const { i, x, y, wrong } of faces) {
    ctx.clearRect(0, 0, one.width, one.height);
    face(ctx, sheet, sprite, i, 0, 0, one.width, one.height);
    root.append(svg("image", { x, y, width: CELL, height: CELL, href: one.toDataURL(), style: "image-rendering: pixelated" }));
    if (wrong) root.append(svg("rect", { x, y, width: CELL, height: CELL, fill: "none", stroke: css(theme.wrong), "stroke-width": 3 }));
  }
  for (const { text, x, y, size, ink, weight = 400, align = "left" } of texts)
    root.append(svg("text", { x, y, fill: css(ink), "font-size": size, "font-weight": weight, "text-anchor": align === "center" ? "middle" : "start" }, text));
  return written(root);
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
  return new Blob([`<!doctype html>\n${made.documentElement.outerHTML}`], { type: "text/html" });
}
