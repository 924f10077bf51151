// The sphere: orthographic, far side first and faint, and the same data on two equal-area hemispheres where nothing hides.

import { css, mix } from "./ink.js";
import { badge, dotRadius, label, nearestPrototype, prototypes, ring, Spots, star, trail } from "./marks.js";
import { seen } from "./sphere.js";

const SHADES = 8; // steps of the slight darkening towards the limb
const TIERS = [0.55, 0.72, 0.87, 1]; // sizes of a dot of whose direction a part is seen: less than a quarter of it, a half, ...
const [SOFT, SOFTER] = [2, 3]; // the area fill is drawn at a half, in motion at a third: its edge lies under the outline

function circleOfLatitude(latitude) {
  const [z, r] = [Math.sin(latitude), Math.cos(latitude)];
  return Float32Array.from({ length: 73 * 3 }, (_, o) => {
    const a = (Math.floor(o / 3) / 72) * 2 * Math.PI;
    return [r * Math.cos(a), r * Math.sin(a), z][o % 3];
  });
}

function meridian(longitude) {
  return Float32Array.from({ length: 37 * 3 }, (_, o) => {
    const a = (Math.floor(o / 3) / 36 - 0.5) * Math.PI;
    return [Math.cos(a) * Math.cos(longitude), Math.cos(a) * Math.sin(longitude), Math.sin(a)][o % 3];
  });
}

/** What no class clears: a light grey, where a scene asks for it. */
const stripInk = ({ text: [r, g, b], dark }) => (((dark ? 30 : 19) << 24) | (b << 16) | (g << 8) | r) >>> 0;

const EQUATOR = [circleOfLatitude(0)];
const GRATICULE = [-60, -30, 30, 60].map((d) => circleOfLatitude((d * Math.PI) / 180))
  .concat(Array.from({ length: 12 }, (_, i) => meridian((i * Math.PI) / 6)));

export class Globe {
  spots = new Spots(); // of the sphere
  mapSpots = new Spots(); // of the two maps
  images = new Map(); // of the area fill, by size

  layout(width, height, both, zoom) {
    const pad = 14, text = 22;
    if (!both) this.main = { x: width / 2, y: height / 2, r: Math.min(width, height) / 2 - pad, right: width, bottom: height };
    else if (width > height * 1.15) {
      const r = Math.min((height - 2 * pad - 2 * text) / 4 - 4, width * 0.16), left = width - 2 * r - 2 * pad;
      this.main = { x: left / 2, y: height / 2, r: Math.min(left, height) / 2 - pad, right: left, bottom: height };
      const top = height / 2 - 2 * r - text;
      this.maps = [0, 1].map((i) => ({ x: left + r + pad, y: top + r + 4 + i * (2 * r + text + 6), r }));
    } else {
      const r = Math.min((width - 3 * pad) / 4, height * 0.17), bottom = height - 2 * r - 2 * text;
      this.main = { x: width / 2, y: bottom / 2, r: Math.min(width, bottom) / 2 - pad, right: width, bottom };
      this.maps = [0, 1].map((i) => ({ x: width / 2 + (i - 0.5) * (2 * r + pad), y: bottom + r + text / 2, r }));
    }
    if (!both) this.maps = null;
    this.main.r *= zoom;
  }

  /** The disc under a place on the canvas, for turning it: the sphere, or a map (the far one is seen from behind). */
  disc(x, y) {
    const at = this.maps?.findIndex((map) => Math.hypot(x - map.x, y - map.y) < map.r) ?? -1;
    return at < 0 ? { ...this.main, flip: 1 } : { ...this.maps[at], flip: at === 1 ? -1 : 1, equalArea: true };
  }

  /** The direction under a place on the canvas, of a disc; beyond the sphere that of its limb. `M`: the camera's matrix. */
  direction(x, y, M, disc = this.disc(x, y)) {
    const { flip } = disc;
    let [a, b] = [(flip * (x - disc.x)) / disc.r, (disc.y - y) / disc.r], z;
    const square = a * a + b * b, s = disc.equalArea ? Math.sqrt(Math.max(0, 2 - square)) : square > 1 ? 0.999 / Math.sqrt(square) : 1;
    [a, b, z] = [a * s, b * s, disc.equalArea ? flip * (1 - square) : Math.sqrt(Math.max(0, 1 - square * s * s))];
    return [0, 1, 2].map((d) => M[d] * a + M[3 + d] * b + M[6 + d] * z);
  }

  draw(ctx, { width, height, dpr }, scene, camera, dots) {
    const { theme, zones, show } = scene, M = camera.matrix;
    this.layout(width, height, show.both, camera.zoom);
    const { x: cx, y: cy, r: R } = this.main;
    ctx.save();
    ctx.beginPath();
    ctx.rect(0, 0, this.main.right, this.main.bottom);
    ctx.clip();
    this.#body(ctx, cx, cy, R, dpr, theme);

    const grid = this.#trace(GRATICULE, M), equator = this.#trace(EQUATOR, M);
    const plain = show.boundaries && zones ? this.#trace(zones.boundaries, M) : null;
    const margin = show.zones && zones ? zones.outlines.map((lines, k) => ({ k, path: this.#trace(lines, M) }))
      .filter(({ k }) => !scene.hidden.has(k)) : [];

    ctx.lineWidth = 1;
    ctx.setLineDash([3, 4]);
    this.#stroke(ctx, grid.far, theme.text, 0.09);
    this.#stroke(ctx, equator.far, theme.text, 0.14);
    ctx.setLineDash([5, 4]);
    if (plain) this.#stroke(ctx, plain.far, theme.text, 0.2);
    for (const { k, path } of margin) this.#stroke(ctx, path.far, scene.inks[k], 0.32, 1.25);
    ctx.setLineDash([]);
    ctx.restore();
    this.#project(scene, M);
    this.#farDots(ctx, scene, dots.far, dpr, width, height);
    ctx.save();
    ctx.beginPath();
    ctx.rect(0, 0, this.main.right, this.main.bottom);
    ctx.clip();
    this.#badges(ctx, scene, M, false);
    if (scene.heat || (show.zones && zones)) this.#fill(ctx, scene, M, cx, cy, R, 0, width, height);
    this.#stroke(ctx, grid.near, theme.text, 0.16);
    this.#stroke(ctx, equator.near, theme.text, 0.32);
    if (plain) this.#stroke(ctx, plain.near, theme.text, 0.78, 1.1);
    if (scene.preview) ctx.setLineDash([7, 4]);
    for (const { k, path } of margin) this.#stroke(ctx, path.near, scene.inks[k], 1, 2);
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.arc(cx, cy, R, 0, 2 * Math.PI);
    ctx.strokeStyle = css(theme.text, 0.55);
    ctx.lineWidth = 1.2;
    ctx.stroke();
    ctx.restore();
    if (this.maps) this.#maps(ctx, scene, M, { grid, equator, plain, margin }, width, height);
    this.#nearDots(ctx, scene, dots.near, dpr, width, height);
    if (scene.drawn) this.#way(ctx, scene, M);
    this.#badges(ctx, scene, M, true);
    this.#marks(ctx, scene, M);
    if (scene.drawn) this.#drawn(ctx, scene, M);
  }

  /** The shaded ball. Kept as a bitmap while its size stays: a gradient over a quarter of a megapixel is not free. */
  #body(target, x, y, r, dpr, theme) {
    if (r > 900) { this.#shade(target, x, y, r, theme); return; }
    const key = [r, dpr, theme.background, theme.text].join();
    if (this.bodyKey !== key) {
      this.bodyKey = key;
      const size = Math.ceil(2 * r * dpr) + 2;
      this.body = Object.assign(document.createElement("canvas"), { width: size, height: size });
      const ctx = this.body.getContext("2d", { willReadFrequently: true });
      ctx.setTransform(dpr, 0, 0, dpr, 1, 1);
      this.#shade(ctx, r, r, r, theme);
    }
    target.drawImage(this.body, x - r - 1 / dpr, y - r - 1 / dpr, this.body.width / dpr, this.body.height / dpr);
  }

  #shade(ctx, x, y, r, theme) {
    const shade = ctx.createRadialGradient(x - r * 0.25, y - r * 0.3, r * 0.1, x, y, r);
    shade.addColorStop(0, css(mix(theme.background, theme.text, theme.dark ? 0.05 : 0.004)));
    shade.addColorStop(0.75, css(mix(theme.background, theme.text, theme.dark ? 0.035 : 0.02)));
    shade.addColorStop(1, css(mix(theme.background, theme.text, theme.dark ? 0.015 : 0.06)));
    ctx.fillStyle = shade;
    ctx.beginPath();
    ctx.arc(x, y, r, 0, 2 * Math.PI);
    ctx.fill();
  }

  #stroke(ctx, path, rgb, alpha, width = 1) {
    ctx.strokeStyle = css(rgb, alpha);
    ctx.lineWidth = width;
    ctx.stroke(path);
  }

  /** Lines on the sphere as paths: in front of the limb, behind it, and on the maps. Cut exactly at the limb. */
  #trace(lines, M) {
    const near = new Path2D(), far = new Path2D(), map = new Path2D(), { x: cx, y: cy, r: R } = this.main;
    const put = (verb, x, y, z, front) => {
      (front ? near : far)[verb](cx + x * R, cy - y * R);
      if (!this.maps) return;
      const { x: mx, y: my, r } = this.maps[front ? 0 : 1], s = r / Math.sqrt(1 + Math.abs(z));
      map[verb](mx + (front ? x : -x) * s, my - y * s);
    };
    for (const line of lines) {
      let px, py, pz;
      for (let o = 0; o < line.length; o += 3) {
        const a = line[o], b = line[o + 1], c = line[o + 2];
        const x = M[0] * a + M[1] * b + M[2] * c, y = M[3] * a + M[4] * b + M[5] * c, z = M[6] * a + M[7] * b + M[8] * c;
        if (o === 0) put("moveTo", x, y, z, z >= 0);
        else if (z >= 0 === pz >= 0) put("lineTo", x, y, z, z >= 0);
        else {
          const t = pz / (pz - z), s = 1 / Math.hypot(px + t * (x - px), py + t * (y - py));
          const [lx, ly] = [(px + t * (x - px)) * s, (py + t * (y - py)) * s];
          put("lineTo", lx, ly, 0, pz >= 0);
          put("moveTo", lx, ly, 0, z >= 0);
          put("lineTo", x, y, z, z >= 0);
        }
        px = x;
        py = y;
        pz = z;
      }
    }
    return { near, far, map };
  }

  /** Every sample's place on the canvas, on the sphere and on the maps; kept for picking. */
  #project(scene, M) {
    const { direction } = scene.motion, { style, n } = scene, { x: cx, y: cy, r: R, right, bottom } = this.main;
    this.spots.begin(n);
    this.mapSpots.begin(this.maps ? n : 0);
    if (this.depth?.length !== n) this.depth = new Float32Array(n);
    const [sx, sy, side, mx, my, mside] =
      [this.spots.x, this.spots.y, this.spots.side, this.mapSpots.x, this.mapSpots.y, this.mapSpots.side];
    for (let i = 0, o = 0; i < n; i++, o += 3) {
      if (style[i] === 65535) continue;
      const a = direction[o], b = direction[o + 1], c = direction[o + 2];
      const x = M[0] * a + M[1] * b + M[2] * c, y = M[3] * a + M[4] * b + M[5] * c, z = M[6] * a + M[7] * b + M[8] * c;
      sx[i] = cx + x * R;
      sy[i] = cy - y * R;
      this.depth[i] = z;
      if (sx[i] < right - 3 && sy[i] < bottom - 3) side[i] = z >= 0 ? 0 : 1;
      if (!this.maps) continue;
      const map = this.maps[z >= 0 ? 0 : 1], s = map.r / Math.sqrt(1 + Math.abs(z));
      mx[i] = map.x + (z >= 0 ? x : -x) * s;
      my[i] = map.y - y * s;
      mside[i] = 0;
    }
  }

  #sizes(scene, dpr) {
    const radius = dotRadius(scene.n, Math.min(this.main.r, 420)) * dpr;
    return { radius, rim: radius >= 2.2 * dpr ? 0.85 * dpr : 0.4 * dpr, edge: (rgb) => mix(rgb, scene.theme.text, 0.45) };
  }

  /** The tier of sample i. */
  #tiers({ motion: { depth } }) {
    const last = TIERS.length - 1;
    return depth ? (i) => Math.min(last, (depth[i] * TIERS.length) | 0) : () => last;
  }

  #farDots(ctx, scene, dots, dpr, width, height) {
    const { theme, style, styles, n } = scene, { x, y, side } = this.spots, { x: cx, y: cy, r } = this.main;
    const { radius, rim, edge } = this.#sizes(scene, dpr), [left, top] = [cx - r - 4, cy - r - 4].map((v) => Math.max(0, Math.floor(v * dpr)));
    const [right, bottom] = [Math.min(width, cx + r + 4) * dpr, Math.min(height, cy + r + 4) * dpr];
    dots.begin(Math.ceil(right - left), Math.ceil(bottom - top)); // only where the sphere is
    const tier = this.#tiers(scene);
    const faint = styles.map(({ shape, rgb, size = 1 }) => TIERS.map((part) => dots.stamp(shape, rgb, edge(rgb), radius * 0.7 * size * part, rim)));
    for (let i = 0; i < n; i++) if (side[i] === 1) dots.put(x[i] * dpr - left, y[i] * dpr - top, faint[style[i]][tier(i)]);
    dots.lay(ctx, theme.dark ? 0.26 : 0.2, left, top);
  }

  #nearDots(ctx, scene, dots, dpr, width, height) {
    const { theme, style, styles, order, n } = scene, { x, y, side } = this.spots, { radius, rim, edge } = this.#sizes(scene, dpr);
    dots.begin(Math.round(width * dpr), Math.round(height * dpr));
    const tier = this.#tiers(scene), stamps = [];
    const shaded = (i, level) => {
      const at = (style[i] * SHADES + level) * TIERS.length + tier(i);
      if (stamps[at]) return stamps[at];
      const { shape, rgb, size = 1 } = styles[style[i]], ink = mix(theme.background, rgb, 0.62 + 0.38 * ((level + 0.5) / SHADES));
      return (stamps[at] = dots.stamp(shape, ink, edge(ink), radius * size * TIERS[tier(i)], rim));
    };
    for (let q = 0; q < n; q++) {
      const i = order ? order[q] : q;
      if (side[i] === 0) dots.put(x[i] * dpr, y[i] * dpr, shaded(i, Math.min(SHADES - 1, (this.depth[i] * SHADES) | 0)));
    }
    if (this.maps) {
      const small = styles.map(({ shape, rgb, size = 1 }) => TIERS.map((part) =>
        dots.stamp(shape, rgb, edge(rgb), Math.max(1.2 * dpr, radius * 0.62 * part) * size, rim * 0.7)));
      const [mx, my, mside] = [this.mapSpots.x, this.mapSpots.y, this.mapSpots.side];
      for (let q = 0; q < n; q++) {
        const i = order ? order[q] : q;
        if (mside[i] === 0) dots.put(mx[i] * dpr, my[i] * dpr, small[style[i]][tier(i)]);
      }
    }
    dots.lay(ctx);
  }

  /** The margin zones (or a magnitude, `scene.heat`) as a light tint: each pixel asks the grid, coarsely. `side`: 0 the sphere,
   *  1 the near map, -1 the far map. */
  #fill(ctx, scene, M, cx, cy, R, side, width, height) {
    const x0 = Math.max(0, Math.floor(cx - R)), y0 = Math.max(0, Math.floor(cy - R));
    const soft = scene.moving ? SOFTER : SOFT;
    const w = Math.ceil((Math.min(width, cx + R) - x0) / soft), h = Math.ceil((Math.min(height, cy + R) - y0) / soft);
    if (w <= 0 || h <= 0 || !(R > 0)) return;
    const { image, pixels, canvas } = this.#scratch(w, h), ground = scene.heat ?? scene.zones;
    const alpha = scene.theme.dark ? 52 : 36;
    const nobody = scene.strip ? stripInk(scene.theme) : 0;
    const tint = scene.heat?.tint ?? [nobody, ...scene.inks.map(([r, g, b], k) =>
      scene.hidden.has(k) ? 0 : ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0)];
    for (let j = 0, at = 0; j < h; j++) {
      const y = (cy - (y0 + (j + 0.5) * soft)) / R;
      for (let i = 0; i < w; i++, at++) {
        const x = (x0 + (i + 0.5) * soft - cx) / R, square = x * x + y * y;
        if (square >= 1) continue;
        const s = side === 0 ? 1 : Math.sqrt(2 - square), z = side === 0 ? Math.sqrt(1 - square) : side * (1 - square);
        const a = side < 0 ? -x * s : x * s, b = y * s;
        pixels[at] = tint[ground.at(M[0] * a + M[3] * b + M[6] * z, M[1] * a + M[4] * b + M[7] * z, M[2] * a + M[5] * b + M[8] * z)];
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    ctx.drawImage(canvas, x0, y0, w * soft, h * soft);
  }

  /** A cleared image of this size, the same one as last time: three of these a frame would be work for the collector. */
  #scratch(w, h) {
    const key = `${w}x${h}`, kept = this.images.get(key);
    if (kept) { kept.pixels.fill(0); return kept; }
    if (this.images.size > 8) this.images.clear();
    const image = new ImageData(w, h), canvas = Object.assign(document.createElement("canvas"), { width: w, height: h });
    canvas.getContext("2d", { willReadFrequently: true });
    const made = { image, canvas, pixels: new Uint32Array(image.data.buffer) };
    this.images.set(key, made);
    return made;
  }

  #maps(ctx, scene, M, { grid, equator, plain, margin }, width, height) {
    const { theme, show } = scene;
    this.maps.forEach((map, i) => {
      ctx.beginPath();
      ctx.arc(map.x, map.y, map.r, 0, 2 * Math.PI);
      ctx.fillStyle = css(mix(theme.background, theme.text, theme.dark ? 0.035 : 0.015));
      ctx.fill();
      if (scene.heat || (show.zones && scene.zones)) this.#fill(ctx, scene, M, map.x, map.y, map.r, i === 0 ? 1 : -1, width, height);
    });
    this.#stroke(ctx, grid.map, theme.text, 0.12);
    this.#stroke(ctx, equator.map, theme.text, 0.24);
    if (plain) this.#stroke(ctx, plain.map, theme.text, 0.72);
    if (scene.preview) ctx.setLineDash([5, 3]);
    for (const { k, path } of margin) this.#stroke(ctx, path.map, scene.inks[k], 1, 1.5);
    ctx.setLineDash([]);
    this.maps.forEach((map, i) => {
      const rim = new Path2D();
      rim.arc(map.x, map.y, map.r, 0, 2 * Math.PI);
      this.#stroke(ctx, rim, theme.text, 0.45);
      label(ctx, i === 0 ? "near half, equal area" : "far half, from behind", map.x, map.y + map.r + 17, theme, { align: "center" });
    });
  }

  #badges(ctx, scene, M, front) {
    const { prototype } = scene.motion, { x: cx, y: cy, r: R, right, bottom } = this.main;
    const all = prototypes(scene).map((one) => {
      const [x, y, z] = seen(M, prototype.subarray(one.p * 3, one.p * 3 + 3));
      return { ...one, x, y, z };
    }).sort((p, q) => p.z - q.z);
    for (const { name, k, bare, radius: size, x, y, z } of all) {
      if (z >= 0 !== front) continue;
      const dim = scene.hidden.has(k) ? 0.35 : 1;
      const [px, py] = [cx + x * R, cy - y * R], radius = bare || front ? size : 8;
      if (px > right - 6 || py > bottom - 6) continue;
      badge(ctx, px, py, name, scene.inks[k], scene.theme,
        { radius, bare, alpha: (front ? 1 : 0.3) * dim, font: front ? 12.5 : 12, ring: scene.marks.prototype === k && front });
      if (front) this.spots.badges.push({ x: px, y: py, radius, k });
    }
    if (!this.maps || !front) return;
    for (const { name, k, bare, radius, x, y, z } of all) {
      const map = this.maps[z >= 0 ? 0 : 1], s = map.r / Math.sqrt(1 + Math.abs(z));
      const spot = { x: map.x + (z >= 0 ? x : -x) * s, y: map.y - y * s, radius: bare ? radius * 0.75 : 8.5, k };
      badge(ctx, spot.x, spot.y, name, scene.inks[k], scene.theme,
        { radius: spot.radius, bare, font: 12, alpha: scene.hidden.has(k) ? 0.35 : 1, ring: scene.marks.prototype === k });
      this.mapSpots.badges.push(spot);
    }
  }

  /** Pinned and hovered samples, ringed on the sphere and on the maps, and the pinned one's trail. */
  #marks(ctx, scene, M) {
    const { x: cx, y: cy, r: R } = this.main, { marks, theme } = scene, way = marks.trail;
    if (way && way.length > 3) {
      const steps = way.length / 3 - 1, [sphere, flat] = [[], []];
      let before = null;
      for (let i = 0; i <= steps; i++) {
        const [x, y, z] = seen(M, way.subarray(i * 3, i * 3 + 3));
        const map = this.maps?.[z >= 0 ? 0 : 1], s = map ? map.r / Math.sqrt(1 + Math.abs(z)) : 0;
        const here = { x: cx + x * R, y: cy - y * R, z, mx: map ? map.x + (z >= 0 ? x : -x) * s : 0, my: map ? map.y - y * s : 0 };
        const age = (i / steps) * (z >= 0 ? 1 : 0.3);
        if (before) sphere.push([before.x, before.y, here.x, here.y, age]);
        if (before && map && z >= 0 === before.z >= 0) flat.push([before.mx, before.my, here.mx, here.my, i / steps]);
        before = here;
      }
      trail(ctx, sphere, scene.markInk, theme);
      trail(ctx, flat, scene.markInk, theme);
    }
    for (const [i, firm] of [[marks.hover, false], [marks.pin, true]]) {
      if (i === null || i === undefined) continue;
      if (this.spots.side[i] !== 255) ring(ctx, this.spots.x[i], this.spots.y[i], firm ? 7 : 6, theme, firm);
      if (this.maps && this.mapSpots.side[i] === 0) ring(ctx, this.mapSpots.x[i], this.mapSpots.y[i], 5, theme, firm);
    }
  }

  /** The shortest way from what the reader drew to the nearest prototype. */
  #way(ctx, { drawn, motion, theme, inks, each }, M) {
    const { direction: from, faint } = drawn, p = nearestPrototype(from, motion.prototype), to = motion.prototype.subarray(p * 3, p * 3 + 3);
    const way = new Float32Array(33 * 3), alpha = faint ? 0.35 : 1;
    for (let s = 0; s <= 32; s++) {
      const mid = from.map((v, d) => v + (to[d] - v) * (s / 32)), r = Math.hypot(...mid) || 1;
      way.set(mid.map((v) => v / r), s * 3);
    }
    const path = this.#trace([way], M), ink = inks[Math.floor(p / each)];
    for (const [rgb, width] of [[theme.background, 5], [ink, 2.6]]) {
      this.#stroke(ctx, path.far, rgb, 0.3 * alpha, width);
      this.#stroke(ctx, path.near, rgb, alpha, width);
      if (this.maps) this.#stroke(ctx, path.map, rgb, alpha, width * 0.8);
    }
  }

  #drawn(ctx, { drawn, theme }, M) {
    const [x, y, z] = seen(M, drawn.direction), alpha = drawn.faint ? 0.35 : 1, { x: cx, y: cy, r: R } = this.main;
    star(ctx, cx + x * R, cy - y * R, theme, { alpha: z >= 0 ? alpha : 0.3 });
    if (!this.maps) return;
    const map = this.maps[z >= 0 ? 0 : 1], s = map.r / Math.sqrt(1 + Math.abs(z));
    star(ctx, map.x + (z >= 0 ? x : -x) * s, map.y - y * s, theme, { radius: 9, alpha });
  }

  pick(x, y) {
    return (this.maps && this.mapSpots.pick(x, y, 9)) || this.spots.pick(x, y);
  }
}
