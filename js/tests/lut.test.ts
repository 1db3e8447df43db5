import { describe, expect, it } from "vitest";
import { STOPS, lookup, table } from "../lib/colormaps.js";
import { decode, phaseAt, valueAt, type Header } from "../lib/frame.js";
import { contrastLimits, histogram, paint, percentile, scaled, unscaled, type Contrast } from "../lib/paint.js";

const plain: Contrast = { cmap: "gray", scale: "linear", gamma: 0.5, percentiles: [0, 100], limits: null };
const header = (more: Partial<Header>): Header => ({ seq: 1, shape: [2, 2], dtype: "uint8", lo: 0, hi: 255, ...more });
const grey = (words: Uint32Array): number[] => [...words].map((word) => (word >>> 24 ? word & 255 : -1));
const painted = (head: Partial<Header>, data: ArrayBufferView, contrast: Partial<Contrast> = {}): Uint32Array => {
  const frame = decode(header(head), data);
  const out = new Uint32Array(frame.codes.length);
  const settings = { ...plain, ...contrast };
  paint(frame, contrastLimits(frame, settings), settings, out);
  return out;
};

describe("colour maps", () => {
  it("have 256 opaque colours between their stops", () => {
    for (const name of Object.keys(STOPS)) {
      expect(lookup(name)).toHaveLength(256);
      expect([...lookup(name)].every((word) => word >>> 24 === 255)).toBe(true);
      expect([...table(name).slice(0, 3)].map((v) => v.toString(16).padStart(2, "0")).join("")).toBe(STOPS[name].slice(0, 6));
    }
  });
  it("fall back to grey for an unknown name", () => expect([...table("nothing")]).toEqual([...table("gray")]));
  it("close the wheel without repeating its first colour", () => {
    const wheel = table("phase");
    const step = (a: number, b: number): number => Math.hypot(...[0, 1, 2].map((c) => wheel[a * 3 + c] - wheel[b * 3 + c]));
    expect(step(255, 0)).toBeGreaterThan(0);
    expect(step(255, 0)).toBeLessThan(8);
  });
  it("keep the wheel's luminance nearly constant", () => {
    const wheel = table("phase");
    const linear = (v: number): number => ((v / 255 + 0.055) / 1.055) ** 2.4;
    const light = Array.from({ length: 256 }, (_, i) => 0.2126 * linear(wheel[i * 3]) + 0.7152 * linear(wheel[i * 3 + 1]) + 0.0722 * linear(wheel[i * 3 + 2]));
    expect(Math.max(...light) / Math.min(...light)).toBeLessThan(1.75);
  });
});

describe("scales", () => {
  it.each(["linear", "sqrt", "log", "power"] as const)("%s goes from 0 to 1 and back", (scale) => {
    expect(scaled(0, scale, 0.4)).toBe(0);
    expect(scaled(1, scale, 0.4)).toBeCloseTo(1, 12);
    expect(scaled(-3, scale, 0.4)).toBe(0);
    expect(scaled(9, scale, 0.4)).toBeCloseTo(1, 12);
    expect(scaled(NaN, scale, 0.4)).toBe(0);
    expect(unscaled(scaled(0.3, scale, 0.4), scale, 0.4)).toBeCloseTo(0.3, 10);
  });
});

describe("painting", () => {
  it("gives the extremes the ends of the map", () => expect(grey(painted({}, Uint8Array.of(10, 20, 30, 110)))).toEqual([0, 26, 51, 255]));
  it("paints floats as it paints integers, NaN as transparent", () => {
    expect(grey(painted({ dtype: "float32" }, Float32Array.of(0, NaN, 0.5, 1)))).toEqual([0, -1, 128, 255]);
  });
  it("reads 16 bits at an odd offset", () => {
    const bytes = new Uint8Array(9);
    bytes.set(new Uint8Array(Uint16Array.of(0, 65535, 0, 65535).buffer), 1);
    expect(grey(painted({ dtype: "uint16" }, new DataView(bytes.buffer, 1)))).toEqual([0, 255, 0, 255]);
  });
  it("leaves out pixels without a value", () => expect(grey(painted({ missing: true }, Uint8Array.of(0, 1, 128, 255)))).toEqual([-1, 0, 128, 255]));
  it("paints a constant image in the lowest colour", () => expect(grey(painted({ lo: 5, hi: 5 }, new Uint8Array(4)))).toEqual([0, 0, 0, 0]));
  it("paints nothing where no value is finite", () => expect(grey(painted({ dtype: "float32" }, new Float32Array(4).fill(NaN)))).toEqual([-1, -1, -1, -1]));
  it("follows explicit limits, then the sender's, then percentiles", () => {
    const data = Uint8Array.of(0, 51, 102, 255);
    expect(grey(painted({}, data, { limits: [0, 102] }))).toEqual([0, 128, 255, 255]);
    expect(grey(painted({ lo: 0, hi: 1, fixed: true }, data, { percentiles: [0, 50] }))).toEqual([0, 51, 102, 255]);
    expect(grey(painted({}, data, { percentiles: [0, 75] }))).toEqual([0, 128, 255, 255]);
  });
  it("centres a diverging map on zero", () => {
    const frame = decode(header({ lo: -1, hi: 3 }), Uint8Array.of(0, 255, 255, 255));
    expect(contrastLimits(frame, { ...plain, cmap: "RdBu" })).toEqual([-3, 3]);
  });
  it("colours a complex image by phase and darkens it by amplitude", () => {
    const out = painted({ kind: "complex", shape: [1, 2], lo: 0, hi: 1 }, Uint8Array.of(0, 255, 128, 128));
    const wheel = table("phase");
    expect(out[0] & 0xffffff).toBe(0);
    expect([out[1] & 255, (out[1] >>> 8) & 255, (out[1] >>> 16) & 255]).toEqual([...wheel.slice(384, 387)]);
  });
});

describe("frames", () => {
  it("say what is wrong in words", () => {
    expect(() => decode(header({}), new Uint8Array(3))).toThrow("Image 1 has 3 bytes; 2 x 2 px need 4.");
    expect(() => decode(header({ dtype: "int99" }), new Uint8Array(4))).toThrow("int99");
    expect(() => decode(header({ shape: [0, 4] }), new Uint8Array(0))).toThrow("empty");
    expect(() => decode(header({}), undefined)).toThrow("0 bytes");
  });
  it("give values at places of the full image", () => {
    const frame = decode(header({ full: [4, 4], lo: 0, hi: 510 }), Uint8Array.of(1, 2, 3, 4));
    expect(valueAt(frame, 3, 0)).toBe(6);
    expect(valueAt(frame, 3.6, 0)).toBeNaN();
    expect(valueAt(frame, -0.4, 3.4)).toBe(4);
  });
  it("give the phase", () => {
    const frame = decode(header({ kind: "complex", shape: [1, 1] }), Uint8Array.of(9, 192));
    expect(phaseAt(frame, 0, 0)).toBeCloseTo(Math.PI / 2, 12);
  });
  it("count exactly and give exact percentiles of integers", () => {
    const h = histogram(decode(header({ shape: [1, 5] }), Uint8Array.of(3, 3, 7, 9, 200)));
    expect([h.total, percentile(h, 0), percentile(h, 50), percentile(h, 80), percentile(h, 100)]).toEqual([5, 3, 7, 9, 200]);
  });
});
