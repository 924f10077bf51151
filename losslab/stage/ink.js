// Colour: the page's theme, the class palettes, and the ramps. The only place that knows a colour.

const PETROFF = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"];
export const COLOURS = PETROFF.length; // with more classes, only those that are singled out wear one
const OKABE_ITO = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"];
const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"].map(hex);
const LIGHT = { background: "#ffffff", text: "#22252b", primary: "#2f6fb5", secondary: "#f3f4f6", border: "#d8dbe0" };
const DARK = { background: "#14161a", text: "#e8eaee", primary: "#6fb1ff", secondary: "#20242b", border: "#3a3f48" };

function hex(text) {
  const value = parseInt(text.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

const probe = document.createElement("canvas").getContext("2d");

/** Any CSS colour as [r, g, b]; the canvas does the parsing, so every notation the browser knows is understood. */
function parse(css, fallback) {
  probe.fillStyle = fallback;
  probe.fillStyle = css || fallback;
  const text = probe.fillStyle;
  return text[0] === "#" ? hex(text) : text.match(/[\d.]+/g).slice(0, 3).map(Number);
}

export const mix = (a, b, t) => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
export const css = (rgb, alpha = 1) => `rgba(${rgb[0] | 0},${rgb[1] | 0},${rgb[2] | 0},${alpha})`;

function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever reads better on the colour. */
export const readable = (rgb) => (luminance(rgb) > 0.19 ? "#111318" : "#ffffff");

/** The theme in force around `host`, from Streamlit's custom properties or, outside Streamlit, sane defaults. */
export function readTheme(host) {
  const style = getComputedStyle(host);
  const prop = (name) => style.getPropertyValue(`--st-${name}`).trim();
  const own = prop("background-color");
  const dark = own ? luminance(parse(own, "#ffffff")) < 0.25 : matchMedia("(prefers-color-scheme: dark)").matches;
  const fallback = dark ? DARK : LIGHT;
  const theme = {
    dark,
    background: parse(own, fallback.background),
    text: parse(prop("text-color"), fallback.text),
    primary: parse(prop("primary-color"), fallback.primary),
    secondary: parse(prop("secondary-background-color"), fallback.secondary),
    font: prop("font") || "system-ui, sans-serif",
  };
  theme.border = prop("border-color") || fallback.border;
  theme.soft = mix(theme.background, theme.text, dark ? 0.68 : 0.64); // secondary text, still 4.5:1 on the background
  theme.hair = mix(theme.background, theme.text, dark ? 0.26 : 0.2); // rules and ticks
  theme.inside = dark ? [255, 176, 66] : [201, 116, 0];
  theme.wrong = dark ? [255, 105, 97] : [190, 24, 40];
  return theme;
}

/** One colour a class. Beyond ten classes more colours would not be told apart: then `lit` classes alone keep one. */
export function classInks(count, theme, lit = []) {
  const palette = count <= 7 ? OKABE_ITO : PETROFF;
  if (count <= palette.length) return palette.slice(0, count).map(hex);
  const grey = mix(theme.background, theme.text, 0.45);
  return Array.from({ length: count }, (_, k) => (lit.includes(k) ? hex(PETROFF[lit.indexOf(k)]) : grey));
}

/** Ink of a magnitude in 0..1. The large end is the one that stands out from the page: dark on light, bright on dark. */
export function rampInk(t, theme) {
  const x = (theme.dark ? 0.12 + 0.88 * t : 0.94 * (1 - t)) * (VIRIDIS.length - 1);
  const i = Math.min(VIRIDIS.length - 2, Math.floor(x));
  return mix(VIRIDIS[i], VIRIDIS[i + 1], x - i);
}
