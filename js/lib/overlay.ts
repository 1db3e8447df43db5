// What is drawn over the image at screen resolution: regions, scale bar, colour wheel, line profile.
import { table } from "./colormaps.js";
import { codeValue, type Frame } from "./frame.js";
import { handles, toScreen, type Region, type Transform } from "./regions.js";
import { scaleBar, short } from "./scalebar.js";

// Okabe and Ito's colours, told apart by colour-blind readers; every stroke has a dark rim, so it is seen on any image.
export const COLOURS = ["#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2"];
const RIM = "rgba(0, 0, 0, 0.65)";
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

export const regionColour = (region: Region, index: number): string => region.color || COLOURS[index % COLOURS.length];

function stroke(g: CanvasRenderingContext2D, path: Path2D, colour: string, width: number, dash: number[] = []): void {
  g.lineCap = "round";
  g.setLineDash(dash);
  g.strokeStyle = RIM;
  g.lineWidth = width + 2;
  g.stroke(path);
  g.strokeStyle = colour;
  g.lineWidth = width;
  g.stroke(path);
  g.setLineDash([]);
}

export function text(g: CanvasRenderingContext2D, content: string, x: number, y: number, align: CanvasTextAlign = "left", colour = "#fff"): void {
  g.font = FONT;
  g.textAlign = align;
  g.textBaseline = "alphabetic";
  g.lineJoin = "round";
  g.lineWidth = 3;
  g.strokeStyle = RIM;
  g.strokeText(content, x, y);
  g.fillStyle = colour;
  g.fillText(content, x, y);
}

function outline(region: Region, t: Transform): Path2D {
  const path = new Path2D();
  const { y, x, r = 0, r_inner = 0, h = 0, w = 0, y2 = y, x2 = x } = region;
  const [cx, cy] = toScreen(t, y, x);
  const cross = (arm: number, gap: number): void => {
    for (const [ux, uy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      path.moveTo(cx + ux * gap, cy + uy * gap);
      path.lineTo(cx + ux * arm, cy + uy * arm);
    }
  };
  const ring = (radius: number): void => {
    path.moveTo(cx + radius * t.kx, cy);
    path.ellipse(cx, cy, radius * t.kx, radius * t.ky, 0, 0, 2 * Math.PI);
  };
  switch (region.shape) {
    case "point":
      if (region.snap && t.kx >= 6) path.rect(cx - t.kx / 2, cy - t.ky / 2, t.kx, t.ky);
      cross(Math.max(10, t.kx / 2 + 7), Math.max(3, region.snap && t.kx >= 6 ? t.kx / 2 + 1 : 3));
      break;
    case "annulus":
      ring(r_inner);
      ring(r);
      cross(3, 0);
      break;
    case "disk":
      ring(r);
      cross(3, 0);
      break;
    case "rectangle":
      path.rect(cx - (w * t.kx) / 2, cy - (h * t.ky) / 2, w * t.kx, h * t.ky);
      break;
    case "angle": {
      const a = (-(region.angle ?? 0) * Math.PI) / 180;
      path.moveTo(cx - r * t.kx * Math.cos(a), cy - r * t.ky * Math.sin(a));
      path.lineTo(cx + r * t.kx * Math.cos(a), cy + r * t.ky * Math.sin(a));
      break;
    }
    case "line":
      path.moveTo(cx, cy);
      path.lineTo(...toScreen(t, y2, x2));
  }
  return path;
}

export function drawRegion(g: CanvasRenderingContext2D, region: Region, t: Transform, colour: string, selected: boolean): void {
  const path = outline(region, t);
  if (region.shape === "annulus" || region.shape === "disk" || region.shape === "rectangle") {
    g.fillStyle = colour;
    g.globalAlpha = 0.13;
    g.fill(path, "evenodd");
    g.globalAlpha = 1;
  }
  stroke(g, path, colour, selected ? 2.5 : 1.75);
  if (region.shape === "angle") {
    const [cx, cy] = toScreen(t, region.y, region.x);
    const turn = (-(region.angle ?? 0) * Math.PI) / 180;
    const reach = Math.min((region.r ?? 0) * t.kx * 0.45, 46);
    const arc = new Path2D();
    arc.arc(cx, cy, reach, 0, turn, turn < 0);
    const zero = new Path2D();
    zero.moveTo(cx, cy);
    zero.lineTo(cx + (region.r ?? 0) * t.kx, cy);
    stroke(g, zero, colour, 1, [3, 5]);
    stroke(g, arc, colour, 1);
    text(g, `${Math.round((region.angle ?? 0) * 10) / 10}°`, cx + (reach + 18) * Math.cos(turn / 2), cy + (reach + 18) * Math.sin(turn / 2) + 4, "center");
  }
  for (const handle of handles(region)) {
    const [hx, hy] = toScreen(t, handle.y, handle.x);
    g.beginPath();
    g.arc(hx, hy, selected ? 5 : 4, 0, 2 * Math.PI);
    g.fillStyle = selected ? "#fff" : colour;
    g.fill();
    g.lineWidth = 1.5;
    g.strokeStyle = selected ? colour : RIM;
    g.stroke();
  }
  if (region.label) {
    const [cx, cy] = toScreen(t, region.y, region.x);
    const up = region.shape === "rectangle" ? ((region.h ?? 0) * t.ky) / 2 : region.shape === "disk" || region.shape === "annulus" ? (region.r ?? 0) * t.ky : 8;
    const top = cy - up - 6;
    text(g, region.label, cx, top > 14 ? top : cy - up + 18, "center", colour);
  }
}

/** A bar at the lower left, about a third of the view. */
export function drawScaleBar(g: CanvasRenderingContext2D, width: number, height: number, t: Transform, sampling: number | null, unit: string): void {
  const bar = scaleBar(width / t.kx, sampling, unit, 0.32);
  if (!bar) return;
  const length = bar.pixels * t.kx;
  g.font = FONT;
  const plate = Math.max(length, g.measureText(bar.label).width) + 12;
  const [x, y] = [12, height - 15];
  g.fillStyle = "rgba(0, 0, 0, 0.5)"; // a plate of its own: white stays legible on any image
  g.beginPath();
  g.roundRect(x - 6, y - 20, plate, 29, 4);
  g.fill();
  g.fillStyle = "#fff";
  g.fillRect(x, y, length, 3);
  g.textAlign = "left";
  g.textBaseline = "alphabetic";
  g.fillText(bar.label, x, y - 6);
}

const wheels = new Map<number, HTMLCanvasElement>();

/** Phase as colour, amplitude as brightness: the legend of a complex image, at the upper right. */
export function drawWheel(g: CanvasRenderingContext2D, width: number, ratio: number): void {
  const size = 46;
  const pixels = Math.round(size * ratio);
  let wheel = wheels.get(pixels);
  if (!wheel) {
    wheel = document.createElement("canvas");
    wheel.width = wheel.height = pixels;
    const small = wheel.getContext("2d");
    if (!small) return;
    const image = small.createImageData(pixels, pixels);
    const colours = table("phase");
    for (let i = 0; i < pixels * pixels; i++) {
      const dx = (i % pixels) - pixels / 2 + 0.5;
      const dy = pixels / 2 - 0.5 - Math.floor(i / pixels);
      const radius = Math.hypot(dx, dy) / (pixels / 2);
      const k = (Math.floor(((Math.atan2(dy, dx) + Math.PI) / (2 * Math.PI)) * 256) & 255) * 3;
      for (let c = 0; c < 3; c++) image.data[i * 4 + c] = colours[k + c] * Math.min(radius, 1);
      image.data[i * 4 + 3] = 255 * Math.min(1, Math.max(0, (1 - radius) * (pixels / 2)));
    }
    small.putImageData(image, 0, 0);
    wheels.set(pixels, wheel);
  }
  const [x, y] = [width - size - 24, 10];
  const ring = new Path2D();
  ring.arc(x + size / 2, y + size / 2, size / 2, 0, 2 * Math.PI);
  stroke(g, ring, "rgba(255,255,255,.8)", 1);
  g.drawImage(wheel, x, y, size, size);
  text(g, "0", x + size + 5, y + size / 2 + 4);
  text(g, "π", x - 12, y + size / 2 + 4);
}

/** Values along a line, one per data pixel of its length (two at least); NaN where it leaves the image. */
export function profile(frame: Frame, region: Region): number[] {
  const { y, x, y2 = y, x2 = x } = region;
  const count = Math.max(2, Math.round(Math.hypot(y2 - y, x2 - x)) + 1);
  const [sy, sx] = [frame.height / frame.full[0], frame.width / frame.full[1]];
  const at = (row: number, column: number): number => codeValue(frame, frame.codes[row * frame.width + column]);
  const values: number[] = [];
  for (let i = 0; i < count; i++) {
    const f = i / (count - 1);
    const v = (y + f * (y2 - y) + 0.5) * sy - 0.5;
    const u = (x + f * (x2 - x) + 0.5) * sx - 0.5;
    const r0 = Math.min(Math.max(Math.floor(v), 0), frame.height - 1);
    const c0 = Math.min(Math.max(Math.floor(u), 0), frame.width - 1);
    const r1 = Math.min(r0 + 1, frame.height - 1);
    const c1 = Math.min(c0 + 1, frame.width - 1);
    const [fy, fx] = [Math.min(Math.max(v - r0, 0), 1), Math.min(Math.max(u - c0, 0), 1)];
    values.push((at(r0, c0) * (1 - fx) + at(r0, c1) * fx) * (1 - fy) + (at(r1, c0) * (1 - fx) + at(r1, c1) * fx) * fy);
  }
  return values;
}

/** The curve of a line profile, in a box on the right, at the top or the bottom of the view. */
export function drawProfile(g: CanvasRenderingContext2D, width: number, height: number, atTop: boolean, values: readonly number[], colour: string): void {
  const finite = values.filter((v) => Number.isFinite(v));
  if (finite.length < 2) return;
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const w = Math.min(190, width * 0.5);
  const h = Math.min(80, height * 0.3);
  const [x, y] = [width - w - 8, atTop ? 8 : height - h - 8];
  g.fillStyle = "rgba(0, 0, 0, 0.7)";
  g.beginPath();
  g.roundRect(x, y, w, h, 4);
  g.fill();
  const path = new Path2D();
  let pen = false;
  values.forEach((value, i) => {
    const px = x + 5 + (i / (values.length - 1)) * (w - 10);
    const py = y + h - 6 - (high > low ? (value - low) / (high - low) : 0.5) * (h - 26);
    if (!Number.isFinite(value)) pen = false;
    else if (pen) path.lineTo(px, py);
    else {
      path.moveTo(px, py);
      pen = true;
    }
  });
  stroke(g, path, colour, 1.5);
  text(g, `${short(low)} to ${short(high)}`, x + 6, y + 14);
}
