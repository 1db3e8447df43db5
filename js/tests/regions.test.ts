import { describe as group, expect, it } from "vitest";
import { profile } from "../lib/overlay.js";
import { decode } from "../lib/frame.js";
import { describe as inWords, dragged, grown, handles, hitTest, moved, toData, toScreen, type Region } from "../lib/regions.js";

const view = { kx: 4, ky: 4, ox: 0, oy: 0 }; // 100 x 100 px on 400 screen pixels
const shape = [100, 100] as const;
const disk: Region = { id: "bf", shape: "disk", y: 50, x: 50, r: 20 };
const ring: Region = { id: "adf", shape: "annulus", y: 50, x: 50, r: 40, r_inner: 25 };
const point: Region = { id: "p", shape: "point", y: 10, x: 10, snap: true };
const box: Region = { id: "box", shape: "rectangle", y: 30, x: 60, h: 10, w: 20 };
const turn: Region = { id: "rot", shape: "angle", y: 50, x: 50, r: 30, angle: 90, movable: false };
const line: Region = { id: "cut", shape: "line", y: 80, x: 10, y2: 90, x2: 60 };
const hit = (regions: Region[], y: number, x: number, selected: string | null = null): string | undefined => {
  const found = hitTest(regions, selected, ...toScreen(view, y, x), view);
  return found ? `${found.id}.${found.part}` : undefined;
};

group("what lies under the pointer", () => {
  it("goes to the screen and back", () => expect(toData(view, ...toScreen(view, 3, 7))).toEqual([3, 7]));
  it.each([
    [disk, 55, 50, "bf.body"], [disk, 50, 70, "bf.r"], [disk, 30.5, 50, "bf.r"], [disk, 50, 80, undefined],
    [ring, 50, 90, "adf.r"], [ring, 50, 25, "adf.r_inner"], [ring, 50, 50, "adf.body"], [ring, 18, 50, "adf.body"],
    [point, 11, 12, "p.body"], [point, 20, 20, undefined],
    [box, 30, 62, "box.body"], [box, 25, 50, "box.corner"], [box, 30, 70.5, "box.w"], [box, 35, 60, "box.h"], [box, 50, 60, undefined],
    [turn, 20, 50, "rot.angle"], [turn, 35, 50, "rot.angle"], [turn, 50, 50, undefined],
    [line, 80, 10, "cut.start"], [line, 90, 60, "cut.end"], [line, 85, 35, "cut.body"],
  ] as [Region, number, number, string | undefined][])("%o at y %d, x %d", (region, y, x, expected) => expect(hit([region], y, x)).toBe(expected));
  it("is the last drawn, or the selected one", () => {
    expect(hit([disk, ring], 60, 50)).toBe("adf.body");
    expect(hit([disk, ring], 60, 50, "bf")).toBe("bf.body");
  });
  it("is nothing where a region must not be changed", () => {
    expect(hit([{ ...disk, movable: false, resizable: false }], 50, 70)).toBeUndefined();
    expect(handles({ ...ring, resizable: false })).toEqual([]);
  });
});

group("a drag", () => {
  it("moves a disk by the way of the pointer", () => expect(dragged(disk, "body", [52, 52], [42, 57], shape)).toMatchObject({ y: 40, x: 55, r: 20 }));
  it("keeps the centre inside the image", () => expect(dragged(disk, "body", [50, 50], [500, -500], shape)).toMatchObject({ y: 99, x: 0 }));
  it("puts a point on whole pixels", () => expect(dragged(point, "body", [10, 10], [20.4, 30.6], shape)).toMatchObject({ y: 20, x: 31 }));
  it("resizes", () => {
    expect(dragged(disk, "r", [50, 70], [50, 80], shape).r).toBe(30);
    expect(dragged(disk, "r", [50, 70], [50, 50], shape).r).toBe(0.5);
    expect(dragged(ring, "r_inner", [50, 25], [50, 0], shape).r_inner).toBe(39.5);
    expect(dragged(ring, "r", [50, 90], [50, 60], shape).r).toBe(25.5);
    expect(dragged(box, "corner", [35, 70], [40, 75], shape)).toMatchObject({ h: 20, w: 30 });
    expect(dragged(box, "w", [30, 70], [50, 75], shape)).toMatchObject({ h: 10, w: 30 });
  });
  it("turns counter-clockwise on the screen", () => {
    expect(dragged(turn, "angle", [20, 50], [50, 90], shape).angle).toBeCloseTo(0);
    expect(dragged(turn, "angle", [20, 50], [40, 60], shape).angle).toBeCloseTo(45);
    const [tip] = handles({ ...turn, angle: 45 });
    expect([tip.y, tip.x]).toEqual([expect.closeTo(50 - 30 * Math.SQRT1_2), expect.closeTo(50 + 30 * Math.SQRT1_2)]);
  });
  it("moves a line as a whole and by its ends", () => {
    expect(moved(line, 50, 0, shape)).toMatchObject({ y: 89, y2: 99, x: 10, x2: 60 });
    expect(dragged(line, "end", [0, 0], [3, 4], shape)).toMatchObject({ y: 80, y2: 3, x2: 4 });
  });
  it("leaves the region it began with as it was", () => {
    const before = JSON.stringify(disk);
    dragged(disk, "body", [0, 0], [9, 9], shape);
    expect(JSON.stringify(disk)).toBe(before);
  });
});

it("grows by keys", () => {
  expect(grown(disk, 1).r).toBe(21);
  expect(grown(box, -1)).toMatchObject({ h: 8, w: 18 });
  expect(grown(turn, 5).angle).toBe(95);
  expect(grown({ ...disk, resizable: false }, 5).r).toBe(20);
});

it("is told in words", () => {
  expect(inWords({ ...disk, label: "bright field" })).toBe("bright field: x 50, y 50, radius 20 px");
  expect(inWords(turn)).toBe("rot: 90 degrees");
});

it("has a profile along its line", () => {
  const frame = decode({ seq: 1, shape: [1, 4], dtype: "uint8", lo: 0, hi: 255 }, Uint8Array.of(0, 10, 20, 30));
  expect(profile(frame, { id: "l", shape: "line", y: 0, x: 0, y2: 0, x2: 3 })).toEqual([0, 10, 20, 30]);
});
