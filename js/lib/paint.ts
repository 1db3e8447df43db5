// From codes to colours: limits of contrast from a histogram, a scale, a look-up table. All integer work per pixel.
import { CYCLIC, DIVERGING, lookup, table, pack } from "./colormaps.js";
import { codeValue, steps, type Frame } from "./frame.js";

export type Scale = "linear" | "sqrt" | "log" | "power";

export interface Contrast {
  cmap: string;
  scale: Scale;
  gamma: number;
  percentiles: readonly [number, number];
  limits: readonly [number, number] | null;
}

const DEPTH = 1000; // the log scale is log(1 + 1000 t): zero stays zero, three decades are seen

/** Where on the colour map (0 to 1) a value at fraction `t` of the limits lies. */
export function scaled(t: number, scale: Scale, gamma: number): number {
  const clipped = t > 0 ? (t < 1 ? t : 1) : 0;
  if (scale === "sqrt") return Math.sqrt(clipped);
  if (scale === "log") return Math.log1p(DEPTH * clipped) / Math.log1p(DEPTH);
  if (scale === "power") return Math.pow(clipped, gamma);
  return clipped;
}

/** The inverse of `scaled`. */
export function unscaled(s: number, scale: Scale, gamma: number): number {
  if (scale === "sqrt") return s * s;
  if (scale === "log") return Math.expm1(s * Math.log1p(DEPTH)) / DEPTH;
  if (scale === "power") return Math.pow(s, 1 / gamma);
  return s;
}

export interface Histogram {
  counts: Uint32Array;
  total: number;
  value: (bin: number) => number;
}

/** Counts per code (integers: exact) or in 4096 bins (floats); pixels without a value are left out. */
export function histogram(frame: Frame): Histogram {
  const { codes } = frame;
  let total = 0;
  if (steps(frame) > 0) {
    const counts = new Uint32Array(codes instanceof Uint8Array ? 256 : 65536);
    for (let i = 0; i < codes.length; i++) counts[codes[i]]++;
    if (frame.missing) counts[0] = 0;
    for (let i = 0; i < counts.length; i++) total += counts[i];
    return { counts, total, value: (bin) => codeValue(frame, bin) };
  }
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < codes.length; i++) {
    const v = codes[i];
    if (v - v !== 0) continue; // NaN or infinite
    if (v < low) low = v;
    if (v > high) high = v;
  }
  const counts = new Uint32Array(4096);
  const width = (high - low) / 4095 || 1;
  for (let i = 0; i < codes.length; i++) {
    const v = codes[i];
    if (v - v !== 0) continue;
    counts[Math.floor((v - low) / width + 0.5)]++;
    total++;
  }
  return { counts, total, value: (bin) => low + bin * width };
}

/** Value below which `percent` per cent of the pixels lie. */
export function percentile(h: Histogram, percent: number): number {
  const wanted = (Math.min(Math.max(percent, 0), 100) / 100) * h.total;
  let seen = 0;
  let last = 0;
  for (let bin = 0; bin < h.counts.length; bin++) {
    if (h.counts[bin] === 0) continue;
    seen += h.counts[bin];
    last = bin;
    if (seen >= wanted && seen > 0) return h.value(bin);
  }
  return h.value(last);
}

/** Limits of contrast, in values; `null` where the frame has no finite value at all. */
export function contrastLimits(frame: Frame, contrast: Contrast): [number, number] | null {
  if (contrast.limits) return [contrast.limits[0], contrast.limits[1]];
  if (frame.fixed) return [frame.lo, frame.hi];
  const h = histogram(frame);
  if (h.total === 0) return null;
  const low = percentile(h, contrast.percentiles[0]);
  const high = percentile(h, contrast.percentiles[1]);
  if (frame.complex) return [0, high];
  if (CYCLIC.has(contrast.cmap)) return [-Math.PI, Math.PI];
  if (!DIVERGING.has(contrast.cmap)) return [low, high];
  const most = Math.max(Math.abs(low), Math.abs(high));
  return [-most, most];
}

/** 256 steps of the colour map at fraction `t`; a value on the limit of a constant image gets the lowest colour. */
function level(value: number, lo: number, span: number, contrast: Contrast): number {
  return Math.floor(scaled(span > 0 ? (value - lo) / span : 0, contrast.scale, contrast.gamma) * 255 + 0.5);
}

/** Paint `frame` into `out`, one 32-bit word per pixel; pixels without a value become transparent. */
export function paint(frame: Frame, limits: readonly [number, number] | null, contrast: Contrast, out: Uint32Array): void {
  const { codes, phase } = frame;
  if (!limits) {
    out.fill(0);
    return;
  }
  const [lo, hi] = limits;
  const span = hi - lo;
  const codeCount = steps(frame) > 0 ? (codes instanceof Uint8Array ? 256 : 65536) : 0;
  if (phase) {
    const wheel = table("phase");
    const levels = new Uint8Array(256);
    for (let c = 0; c < 256; c++) levels[c] = level(codeValue(frame, c), lo, span, contrast);
    for (let i = 0; i < codes.length; i++) {
      const p = phase[i] * 3;
      const a = levels[codes[i]] / 255;
      out[i] = frame.missing && codes[i] === 0 ? 0 : pack(wheel[p] * a + 0.5, wheel[p + 1] * a + 0.5, wheel[p + 2] * a + 0.5);
    }
  } else if (codeCount > 0) {
    const lut = lookup(contrast.cmap);
    const colours = new Uint32Array(codeCount);
    for (let c = frame.missing ? 1 : 0; c < codeCount; c++) colours[c] = lut[level(codeValue(frame, c), lo, span, contrast)];
    for (let i = 0; i < codes.length; i++) out[i] = colours[codes[i]];
  } else {
    const lut = lookup(contrast.cmap);
    for (let i = 0; i < codes.length; i++) {
      const v = codes[i];
      out[i] = v !== v ? 0 : lut[level(v, lo, span, contrast)];
    }
  }
}
