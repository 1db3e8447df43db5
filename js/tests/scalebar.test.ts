import { describe, expect, it } from "vitest";
import { niceLength, scaleBar, short, withUnit } from "../lib/scalebar.js";

describe("scale bar", () => {
  it.each([[1, 1], [1.99, 1], [2, 2], [4.9, 2], [5, 5], [9.99, 5], [10, 10], [0.03, 0.02], [730, 500], [0, 0], [-1, 0], [NaN, 0], [Infinity, 0]])(
    "takes %d as %d", (length, nice) => expect(niceLength(length)).toBeCloseTo(nice, 12));
  it.each([[5, "A", "5 Å"], [0.5, "A", "50 pm"], [20, "A", "2 nm"], [20000, "A", "2 µm"], [0.2, "1/A", "0.2 Å⁻¹"], [20, "mrad", "20 mrad"], [2000, "mrad", "2 rad"], [50, "px", "50 px"], [0, "A", "0 Å"], [3, "", "3"]])(
    "writes %d %s as %s", (value, unit, words) => expect(withUnit(value, unit)).toBe(words));
  it("is about a third of the view", () => {
    const bar = scaleBar(512, 0.21, "A");
    expect(bar?.label).toBe("2 nm");
    expect((bar?.pixels ?? 0) / 512).toBeGreaterThan(0.13);
    expect((bar?.pixels ?? 0) / 512).toBeLessThan(0.35);
  });
  it("counts pixels where nothing is calibrated", () => expect(scaleBar(100, null, "A")).toEqual({ pixels: 20, label: "20 px" }));
});

it("writes values short", () => {
  expect([0, 1, 1234.5678, 1e-7, -2.5e9, NaN].map(short)).toEqual(["0", "1", "1235", "1.00e-7", "-2.50e9", "no value"]);
});
