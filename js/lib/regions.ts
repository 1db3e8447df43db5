// Regions that a user may drag: what they are, where their handles lie, what a drag makes of them.
// Everything in data pixels (rows y downwards, columns x), pixel centres at integers.

export type Shape = "point" | "disk" | "annulus" | "rectangle" | "angle" | "line";

export interface Region {
  id: string;
  shape: Shape;
  y: number;
  x: number;
  r?: number;
  r_inner?: number;
  h?: number;
  w?: number;
  angle?: number; // degrees, counter-clockwise on the screen from the positive x axis
  y2?: number;
  x2?: number;
  color?: string;
  label?: string;
  movable?: boolean;
  resizable?: boolean;
  snap?: boolean; // to whole pixels
  profile?: boolean; // of a line: false where its values are not to be drawn
}

export type Part = "body" | "r" | "r_inner" | "angle" | "end" | "start" | "corner" | "h" | "w";

/** Data pixels to screen pixels: `screen = offset + (data + 0.5) * scale`. */
export interface Transform {
  kx: number;
  ky: number;
  ox: number;
  oy: number;
}
export const toScreen = (t: Transform, y: number, x: number): [number, number] => [t.ox + (x + 0.5) * t.kx, t.oy + (y + 0.5) * t.ky];
export const toData = (t: Transform, sx: number, sy: number): [number, number] => [(sy - t.oy) / t.ky - 0.5, (sx - t.ox) / t.kx - 0.5];

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

export interface Handle {
  part: Part;
  y: number;
  x: number;
}

/** The little squares by which a region is resized, in data pixels. */
export function handles(region: Region): Handle[] {
  const { y, x, r = 0, r_inner = 0, h = 0, w = 0, angle = 0, y2 = y, x2 = x } = region;
  if (region.resizable === false) return [];
  switch (region.shape) {
    case "disk":
      return [{ part: "r", y, x: x + r }];
    case "annulus":
      return [
        { part: "r", y, x: x + r },
        { part: "r_inner", y, x: x - r_inner },
      ];
    case "rectangle":
      return [-1, 1].flatMap((sy) => [-1, 1].map((sx): Handle => ({ part: "corner", y: y + (sy * h) / 2, x: x + (sx * w) / 2 })));
    case "angle":
      return [{ part: "angle", y: y - r * Math.sin(radians(angle)), x: x + r * Math.cos(radians(angle)) }];
    case "line":
      return [
        { part: "start", y, x },
        { part: "end", y: y2, x: x2 },
      ];
    default:
      return [];
  }
}

const REACH = 12; // half of the 24 px that a finger needs
const EDGE = 6;

export interface Hit {
  id: string;
  part: Part;
}

/** What lies under a place on the screen; the selected region comes first, then the last drawn. */
export function hitTest(regions: readonly Region[], selected: string | null, sx: number, sy: number, t: Transform): Hit | null {
  const order = [...regions].reverse().sort((a, b) => Number(b.id === selected) - Number(a.id === selected));
  for (const region of order) {
    const part = partAt(region, sx, sy, t);
    if (part) return { id: region.id, part };
  }
  return null;
}

function partAt(region: Region, sx: number, sy: number, t: Transform): Part | null {
  const { y, x, r = 0, r_inner = 0, h = 0, w = 0, y2 = y, x2 = x } = region;
  const far = (py: number, px: number): number => {
    const [qx, qy] = toScreen(t, py, px);
    return Math.hypot(sx - qx, sy - qy);
  };
  const centre = region.shape === "line" ? far((y + y2) / 2, (x + x2) / 2) : far(y, x);
  let best: Part | null = null;
  let nearest = REACH;
  for (const handle of handles(region)) {
    const distance = far(handle.y, handle.x);
    if (distance <= nearest && (distance < centre || region.movable === false)) [best, nearest] = [handle.part, distance];
  }
  if (best) return best;
  const [py, px] = toData(t, sx, sy);
  const radius = Math.hypot(py - y, px - x);
  const scale = Math.min(t.kx, t.ky);
  const edge = (distance: number): boolean => region.resizable !== false && Math.abs(distance) * scale <= EDGE && centre > REACH;
  const move: Part | null = region.movable === false ? null : "body";
  switch (region.shape) {
    case "point":
      return centre <= REACH ? move : null;
    case "disk":
      return edge(radius - r) ? "r" : radius <= r || centre <= REACH ? move : null;
    case "annulus":
      return edge(radius - r) ? "r" : edge(radius - r_inner) ? "r_inner" : radius <= r || centre <= REACH ? move : null;
    case "rectangle": {
      const dy = Math.abs(py - y) - h / 2;
      const dx = Math.abs(px - x) - w / 2;
      if (dx * scale <= EDGE && edge(dy)) return "h";
      if (dy * scale <= EDGE && edge(dx)) return "w";
      return (dy <= 0 && dx <= 0) || centre <= REACH ? move : null;
    }
    case "angle": {
      if (centre <= REACH && move) return move;
      const [tip] = handles(region);
      return tip && centre > REACH && toSegment(py, px, y, x, tip.y, tip.x) * scale <= EDGE ? "angle" : null;
    }
    default:
      return toSegment(py, px, y, x, y2, x2) * scale <= REACH ? move : null;
  }
}

function toSegment(py: number, px: number, y: number, x: number, y2: number, x2: number): number {
  const length = (y2 - y) ** 2 + (x2 - x) ** 2;
  const f = length ? Math.min(1, Math.max(0, ((py - y) * (y2 - y) + (px - x) * (x2 - x)) / length)) : 0;
  return Math.hypot(py - y - f * (y2 - y), px - x - f * (x2 - x));
}

/** The region that dragging `part` of `start` from one place to another makes, kept inside an image of `shape` pixels. */
export function dragged(start: Region, part: Part, from: [number, number], to: [number, number], shape: readonly [number, number]): Region {
  const [dy, dx] = [to[0] - from[0], to[1] - from[1]];
  const away = Math.hypot(to[0] - start.y, to[1] - start.x);
  switch (part) {
    case "body":
      return moved(start, dy, dx, shape);
    case "r":
      return { ...start, r: Math.max(away, start.shape === "annulus" ? (start.r_inner ?? 0) + 0.5 : 0.5) };
    case "r_inner":
      return { ...start, r_inner: Math.min(away, Math.max((start.r ?? 0) - 0.5, 0)) };
    case "angle":
      return { ...start, angle: (Math.atan2(start.y - to[0], to[1] - start.x) * 180) / Math.PI };
    case "start":
      return { ...start, y: within(to[0], shape[0]), x: within(to[1], shape[1]) };
    case "end":
      return { ...start, y2: within(to[0], shape[0]), x2: within(to[1], shape[1]) };
    default: {
      const h = part === "w" ? start.h : Math.max(2 * Math.abs(to[0] - start.y), 1);
      const w = part === "h" ? start.w : Math.max(2 * Math.abs(to[1] - start.x), 1);
      return { ...start, ...(h !== undefined && { h }), ...(w !== undefined && { w }) };
    }
  }
}

/** The region moved by `dy, dx`, its centre kept inside the image. */
export function moved(region: Region, dy: number, dx: number, shape: readonly [number, number]): Region {
  if (region.shape === "line") {
    const { y, x, y2 = y, x2 = x } = region;
    const sy = Math.min(Math.max(dy, -Math.min(y, y2)), shape[0] - 1 - Math.max(y, y2));
    const sx = Math.min(Math.max(dx, -Math.min(x, x2)), shape[1] - 1 - Math.max(x, x2));
    return { ...region, y: y + sy, x: x + sx, y2: y2 + sy, x2: x2 + sx };
  }
  const round = region.snap ? Math.round : (v: number) => v;
  return { ...region, y: round(within(region.y + dy, shape[0])), x: round(within(region.x + dx, shape[1])) };
}

/** The region made larger (or smaller) by `step` pixels, or turned by `step` degrees. */
export function grown(region: Region, step: number): Region {
  if (region.resizable === false) return region;
  if (region.shape === "angle") return { ...region, angle: (region.angle ?? 0) + step };
  if (region.shape === "disk") return { ...region, r: Math.max((region.r ?? 0) + step, 0.5) };
  if (region.shape === "annulus") return { ...region, r: Math.max((region.r ?? 0) + step, (region.r_inner ?? 0) + 0.5) };
  if (region.shape === "rectangle") return { ...region, h: Math.max((region.h ?? 1) + 2 * step, 1), w: Math.max((region.w ?? 1) + 2 * step, 1) };
  return region;
}

const within = (v: number, size: number): number => Math.min(Math.max(v, 0), size - 1);

/** The region as one line of text, for the status line and for readers of the screen. */
export function describe(region: Region): string {
  const n = (v: number | undefined): string => String(Math.round((v ?? 0) * 10) / 10);
  const name = region.label || region.id;
  const at = `${name}: x ${n(region.x)}, y ${n(region.y)}`;
  if (region.shape === "disk") return `${at}, radius ${n(region.r)} px`;
  if (region.shape === "annulus") return `${at}, radii ${n(region.r_inner)} to ${n(region.r)} px`;
  if (region.shape === "rectangle") return `${at}, ${n(region.w)} x ${n(region.h)} px`;
  if (region.shape === "angle") return `${name}: ${n(region.angle)} degrees`;
  if (region.shape === "line") return `${at} to x ${n(region.x2)}, y ${n(region.y2)}`;
  return `${at} px`;
}
