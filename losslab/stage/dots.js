// Ten thousand dots a frame without ten thousand paths: small anti-aliased stamps, blended straight into the pixels of a
// layer, a few milliseconds in all.

const MOST = 4000; // stamps: each is a few kB, and zooming makes new ones
const SUB = 4; // stamps are kept at 4 x 4 positions inside a pixel, so that slow motion does not jitter

/** How much of a pixel at distance (x, y) from the centre a shape covers, and how much of that is its rim. */
const SHAPES = {
  disc: (x, y, r, rim) => { const d = Math.hypot(x, y); return [clamp(r + 0.5 - d), clamp(d - (r - rim) + 0.5)]; },
  ring: (x, y, r) => [clamp(0.62 + r * 0.12 - Math.abs(Math.hypot(x, y) - r * 0.95) + 0.25), 0],
  cross: (x, y, r) => {
    const along = Math.max(Math.abs(x + y), Math.abs(x - y)) / Math.SQRT2, off = Math.min(Math.abs(x + y), Math.abs(x - y)) / Math.SQRT2;
    return [clamp(0.45 + r * 0.16 - off + 0.5) * clamp(r * 1.35 + 0.5 - along), 0];
  },
};
const clamp = (x) => (x < 0 ? 0 : x > 1 ? 1 : x);

class Dots {
  #stamps = new Map();

  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true }); // keeps the pixels on this side of the bus
  }

  begin(width, height) {
    if (this.width !== width || this.height !== height) {
      [this.width, this.height] = [this.canvas.width, this.canvas.height] = [width, height];
      this.image = new ImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.#stamps.clear(); // their offsets depend on the width
    } else if (this.#stamps.size > MOST) this.#stamps.clear();
    this.pixels.fill(0);
  }

  /** The stamp of a shape: 16 variants of {offset, colour} over the pixels it touches. Radius in device pixels. */
  stamp(shape, [r, g, b], edge, radius, rim) {
    const key = [shape, r | 0, g | 0, b | 0, radius.toFixed(2), rim, this.width].join();
    if (this.#stamps.has(key)) return this.#stamps.get(key);
    const reach = Math.ceil(radius * 1.4) + 1, variants = [];
    for (let variant = 0; variant < SUB * SUB; variant++) {
      const [fx, fy] = [((variant % SUB) + 0.5) / SUB, (Math.floor(variant / SUB) + 0.5) / SUB];
      const [offset, colour] = [[], []];
      for (let y = -reach; y <= reach; y++)
        for (let x = -reach; x <= reach; x++) {
          const [cover, outer] = SHAPES[shape](x + 0.5 - fx, y + 0.5 - fy, radius, rim);
          const alpha = Math.round(cover * 255);
          if (alpha < 6) continue;
          const [cr, cg, cb] = [r + (edge[0] - r) * outer, g + (edge[1] - g) * outer, b + (edge[2] - b) * outer];
          offset.push(y * this.width + x);
          colour.push(((alpha << 24) | (cb << 16) | (cg << 8) | cr) >>> 0);
        }
      variants.push({ offset: Int32Array.from(offset), colour: Uint32Array.from(colour) });
    }
    const stamp = { reach, variants };
    this.#stamps.set(key, stamp);
    return stamp;
  }

  put(x, y, stamp) {
    const ix = Math.floor(x), iy = Math.floor(y), m = stamp.reach;
    if (ix < m || iy < m || ix >= this.width - m || iy >= this.height - m) return;
    const { offset, colour } = stamp.variants[(((y - iy) * SUB) | 0) * SUB + (((x - ix) * SUB) | 0)];
    const out = this.pixels, base = iy * this.width + ix;
    for (let i = 0; i < offset.length; i++) {
      const at = base + offset[i], over = colour[i], a = over >>> 24, under = out[at];
      if (a === 255 || under === 0) { out[at] = over; continue; }
      const keep = ((under >>> 24) * (255 - a)) / 255, total = a + keep;
      const r = ((over & 255) * a + (under & 255) * keep) / total;
      const g = (((over >> 8) & 255) * a + ((under >> 8) & 255) * keep) / total;
      const b = (((over >> 16) & 255) * a + ((under >> 16) & 255) * keep) / total;
      out[at] = ((total << 24) | (b << 16) | (g << 8) | r) >>> 0;
    }
  }

  /** Lays what was stamped over the picture, at device pixels. */
  lay(target, alpha = 1, left = 0, top = 0) {
    this.context.putImageData(this.image, 0, 0);
    target.save();
    target.setTransform(1, 0, 0, 1, 0, 0);
    target.globalAlpha = alpha;
    target.drawImage(this.canvas, left, top);
    target.restore();
  }
}

/** The two layers of a view: what lies behind, and what lies in front. */
export const layers = () => ({ near: new Dots(), far: new Dots() });
