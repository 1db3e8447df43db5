// One image: a canvas with the pixels, an overlay at screen resolution, a title and a status line.
// It is given frames, settings and regions, and tells of what the user does; it knows neither Jupyter nor Python.
import { CYCLIC, lookup } from "./colormaps.js";
import { phaseAt, valueAt, type Frame } from "./frame.js";
import { Gestures } from "./gestures.js";
import { drawProfile, drawRegion, drawScaleBar, drawWheel, profile, regionColour, text } from "./overlay.js";
import { contrastLimits, paint, unscaled, type Contrast, type Scale } from "./paint.js";
import { describe, toData, type Region, type Transform } from "./regions.js";
import { place, short, withUnit } from "./scalebar.js";

export interface Settings extends Contrast {
  title: string;
  note: string;
  sampling: readonly [number, number] | null; // units per pixel: rows, columns
  unit: string; // "px", "A", "1/A", "mrad", ...
  aspect: number; // height of a pixel by its width; 0: what sampling says
  origin: readonly [number, number] | null; // pixel with coordinates 0, 0
  x_label: string;
  y_label: string;
  max_width: number; // CSS px
  colorbar: boolean;
  scalebar: boolean;
  placeholder: string; // shown while there is no image
  hotkeys: readonly string[]; // keys told to the owner
  picked: boolean | null; // one of several to choose from: whether it is the chosen one
}

export const DEFAULTS: Settings = {
  title: "", note: "", cmap: "gray", scale: "linear", gamma: 0.5, percentiles: [0, 100], limits: null, sampling: null,
  unit: "px", aspect: 0, origin: null, x_label: "", y_label: "", max_width: 512, colorbar: true, scalebar: true, placeholder: "", hotkeys: [],
  picked: null,
};

export interface Cursor {
  y: number;
  x: number;
  value: number;
}

export interface Events {
  region?(region: Region, final: boolean): void;
  cursor?(cursor: Cursor | null): void;
  key?(key: string): void;
  pick?(): void;
  setting?(name: "scale", value: Scale): void;
}

const KEYS: readonly (readonly [string, string])[] = [
  ["drag", "move a region or its handle; with no region, move a magnified image"],
  ["Tab", "next region"],
  ["arrows", "move the region by 1 px (Shift: 10 px)"],
  ["[  ]", "make the region smaller, larger"],
  ["+  -  0", "magnify, reduce, whole image (also Ctrl + wheel, pinch, double click)"],
  ["l", "linear, square root, logarithmic scale"],
  ["Esc", "leave the image"],
];

function make<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, parent?: HTMLElement): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  node.className = className;
  parent?.append(node);
  return node;
}

export class ImageView {
  readonly root = make("div", "pty-image-view");
  settings: Settings = { ...DEFAULTS };
  regions: Region[] = [];
  selected: string | null = null;
  frame: Frame | null = null;
  zoom = 1;
  pan: [number, number] = [0, 0]; // of the image's centre from the stage's centre, CSS px

  readonly stage: HTMLDivElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly overlay: HTMLCanvasElement;
  private readonly title: HTMLSpanElement;
  private readonly note: HTMLSpanElement;
  private readonly status: HTMLSpanElement;
  private readonly live: HTMLSpanElement;
  private readonly message: HTMLDivElement;
  private readonly help: HTMLDivElement;
  private readonly bar: HTMLDivElement;
  private limits: [number, number] | null = null;
  private size: [number, number] = [0, 0]; // of the stage: width, height, CSS px
  private hover: [number, number] | null = null;
  private request = 0;
  private dirty = false; // pixels must be coloured anew
  private announced = 0;
  private announceTimer: ReturnType<typeof setTimeout> | undefined;
  private painted = 0;
  private readonly observer: ResizeObserver | null;
  private readonly gestures: Gestures;

  constructor(parent: HTMLElement, readonly events: Events = {}) {
    const { root } = this;
    root.tabIndex = 0;
    root.dataset.testid = "pty-image-view";
    root.dataset.lmSuppressShortcuts = "true"; // else JupyterLab's command mode takes the keys
    root.setAttribute("role", "group");
    const head = make("div", "pty-image-head", root);
    this.title = make("span", "pty-image-title", head);
    this.note = make("span", "pty-image-note", head);
    this.stage = make("div", "pty-image-stage", root);
    this.canvas = make("canvas", "", this.stage);
    this.canvas.dataset.testid = "pty-canvas";
    this.canvas.setAttribute("role", "img");
    this.canvas.width = this.canvas.height = 1;
    this.overlay = make("canvas", "pty-overlay", this.stage);
    this.overlay.setAttribute("aria-hidden", "true");
    this.message = make("div", "pty-image-message", this.stage);
    this.message.dataset.testid = "pty-status";
    this.message.hidden = true;
    this.help = make("div", "pty-image-help", this.stage);
    this.help.hidden = true;
    const list = make("dl", "", this.help);
    for (const [key, meaning] of KEYS) {
      make("dt", "", list).textContent = key;
      make("dd", "", list).textContent = meaning;
    }
    this.bar = make("div", "pty-colorbar", root);
    this.bar.hidden = true;
    const foot = make("div", "pty-image-foot", root);
    this.status = make("span", "pty-image-status", foot);
    const button = make("button", "pty-help-button", foot);
    button.type = "button";
    button.textContent = "?";
    button.title = "Keys of this image";
    button.setAttribute("aria-label", "Keys of this image");
    button.addEventListener("click", () => this.toggleHelp());
    this.live = make("span", "pty-hidden", root);
    this.live.setAttribute("aria-live", "polite");
    parent.append(root);
    this.gestures = new Gestures(this);
    this.observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(() => this.layout());
    this.observer?.observe(root);
    this.apply();
    this.layout();
    this.canvas.dataset.ready = "1";
  }

  destroy(): void {
    this.gestures.destroy();
    this.observer?.disconnect();
    cancelAnimationFrame(this.request);
    clearTimeout(this.announceTimer);
    this.root.remove();
  }

  set(changes: Partial<Settings>): void {
    this.settings = { ...this.settings, ...changes };
    this.dirty = true;
    this.apply();
    this.layout();
  }

  /** New regions from the owner; ignored for the one that is being dragged. */
  setRegions(regions: readonly Region[]): void {
    const held = this.gestures.held;
    this.regions = regions.map((region) => (region.id === held ? this.regions.find((r) => r.id === held) ?? region : { ...region }));
    if (!this.regions.some((region) => region.id === this.selected)) this.selected = this.regions[0]?.id ?? null;
    this.gestures.refresh();
    this.redraw();
  }

  /** Paint `frame` now. */
  show(frame: Frame): void {
    const before = this.frame?.full;
    this.frame = frame;
    this.dirty = true;
    this.showMessage("", false);
    if (before?.[0] !== frame.full[0] || before?.[1] !== frame.full[1]) this.reset();
    this.layout();
    this.draw();
    this.painted++;
    this.canvas.dataset.seq = String(frame.seq);
    this.canvas.dataset.painted = String(this.painted);
  }

  /** A line over the image: what went wrong, or what is awaited. */
  showMessage(message: string, wrong = true): void {
    this.message.textContent = message;
    this.message.hidden = message === "";
    this.message.classList.toggle("pty-image-wrong", wrong);
  }

  get imageShape(): readonly [number, number] {
    return this.frame?.full ?? [1, 1];
  }

  /** Data pixels to CSS pixels of the stage. */
  get transform(): Transform {
    const [h, w] = this.imageShape;
    const aspect = this.pixelAspect;
    const fit = Math.min(this.size[0] / w, this.size[1] / (h * aspect)) * this.zoom;
    const [kx, ky] = [fit, fit * aspect];
    return { kx, ky, ox: this.size[0] / 2 + this.pan[0] - (w * kx) / 2, oy: this.size[1] / 2 + this.pan[1] - (h * ky) / 2 };
  }

  private get pixelAspect(): number {
    const { aspect, sampling: s } = this.settings;
    if (aspect > 0) return aspect;
    return s && s[0] > 0 && s[1] > 0 ? s[0] / s[1] : 1;
  }

  /** Magnify by `factor` with the place `sx, sy` of the stage held fast. */
  magnify(factor: number, sx = this.size[0] / 2, sy = this.size[1] / 2): void {
    const [y, x] = toData(this.transform, sx, sy);
    const most = Math.max(1, Math.min(...this.imageShape) / 4);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), Math.max(most, 8));
    const t = this.transform;
    this.movePan(sx - (t.ox + (x + 0.5) * t.kx), sy - (t.oy + (y + 0.5) * t.ky));
  }

  movePan(dx: number, dy: number): void {
    const t = this.transform;
    const roomX = Math.max(0, (this.imageShape[1] * t.kx - this.size[0]) / 2);
    const roomY = Math.max(0, (this.imageShape[0] * t.ky - this.size[1]) / 2);
    this.pan = [Math.min(Math.max(this.pan[0] + dx, -roomX), roomX), Math.min(Math.max(this.pan[1] + dy, -roomY), roomY)];
    this.gestures.refresh();
    this.redraw();
  }

  reset(): void {
    this.zoom = 1;
    this.pan = [0, 0];
    this.gestures.refresh();
    this.redraw();
  }

  /** A region as the user has just made it; shown at once, told to the owner. */
  changeRegion(region: Region, final: boolean): void {
    this.regions = this.regions.map((r) => (r.id === region.id ? region : r));
    this.redraw();
    this.events.region?.(region, final);
    if (final) this.announce(describe(region));
  }

  select(id: string | null): void {
    if (id === this.selected) return;
    this.selected = id;
    const region = this.regions.find((r) => r.id === id);
    if (region) this.announce(describe(region));
    this.redraw();
  }

  nextScale(): void {
    const order: Scale[] = ["linear", "sqrt", "log"];
    const scale = order[(order.indexOf(this.settings.scale) + 1) % order.length];
    this.set({ scale });
    this.events.setting?.("scale", scale);
    this.announce(`${scale} scale`);
  }

  toggleHelp(show = this.help.hidden): void {
    this.help.hidden = !show;
  }

  setHover(at: [number, number] | null): void {
    this.hover = at;
    this.redraw();
    if (!this.events.cursor) return;
    const cursor = at && this.frame ? { y: at[0], x: at[1], value: valueAt(this.frame, at[0], at[1]) } : null;
    this.events.cursor(cursor);
  }

  redraw(): void {
    if (!this.request) this.request = requestAnimationFrame(() => this.draw());
  }

  /** For readers of the screen, at most once a second, the newest message last. */
  private announce(message: string): void {
    clearTimeout(this.announceTimer);
    this.announceTimer = setTimeout(() => {
      this.announced = Date.now();
      this.live.textContent = message;
    }, Math.max(150, 1000 - (Date.now() - this.announced)));
  }

  private apply(): void {
    const { settings: s, root } = this;
    this.title.textContent = s.title;
    this.note.textContent = s.note;
    root.dataset.title = s.title;
    const choice = s.picked !== null;
    root.setAttribute("aria-label", choice ? `${s.title}, ${s.note}` : s.title || "image");
    root.setAttribute("role", choice ? "button" : "group");
    if (choice) root.setAttribute("aria-pressed", String(s.picked));
    else root.removeAttribute("aria-pressed");
    root.classList.toggle("pty-pickable", choice);
    root.classList.toggle("pty-picked", s.picked === true);
    if (!this.frame) this.showMessage(s.placeholder, false);
    root.style.maxWidth = s.max_width > 0 ? `${s.max_width}px` : "";
  }

  /** Fit the stage to the width it is given. */
  private layout(): void {
    const inner = this.stage.clientWidth;
    const [h, w] = this.imageShape;
    const ratio = this.frame ? (h * this.pixelAspect) / w : 1;
    const width = inner || Math.min(this.settings.max_width || 512, 512);
    const height = Math.max(40, Math.round(Math.min(width * ratio, this.settings.max_width || width * 1.5, width * 1.5)));
    if (width !== this.size[0] || height !== this.size[1]) {
      this.pan = this.size[0] ? [(this.pan[0] * width) / this.size[0], (this.pan[1] * width) / this.size[0]] : [0, 0];
      this.size = [width, height];
      this.stage.style.height = `${height}px`;
    }
    this.redraw();
  }

  private draw(): void {
    cancelAnimationFrame(this.request);
    this.request = 0;
    if (this.dirty) this.colour();
    const t = this.transform;
    const [h, w] = this.imageShape;
    const style = this.canvas.style;
    style.left = `${t.ox}px`;
    style.top = `${t.oy}px`;
    style.width = `${w * t.kx}px`;
    style.height = `${h * t.ky}px`;
    const ratio = window.devicePixelRatio || 1;
    // Few pixels are shown as the squares that they are; many are averaged rather than left out.
    style.imageRendering = this.canvas.width <= w * t.kx * ratio * 1.01 ? "pixelated" : "auto";
    this.drawOverlay(t, ratio);
    this.writeStatus();
  }

  private colour(): void {
    this.dirty = false;
    const { frame, canvas, settings: s } = this;
    if (!frame) return;
    if (canvas.width !== frame.width) canvas.width = frame.width;
    if (canvas.height !== frame.height) canvas.height = frame.height;
    const g = canvas.getContext("2d");
    if (!g) return;
    const image = g.createImageData(frame.width, frame.height);
    this.limits = contrastLimits(frame, s);
    paint(frame, this.limits, s, new Uint32Array(image.data.buffer));
    g.putImageData(image, 0, 0);
    const cleared = frame.full[0] * frame.full[1] === 1; // by ImageView.clear(); any other image without a value is told
    if (!this.limits) this.showMessage((cleared && s.placeholder) || "This image has no finite value.", false);
    const [lo, hi] = this.limits ?? [NaN, NaN];
    const kind = frame.complex ? "complex image, phase as colour, amplitude" : "image, values";
    canvas.setAttribute("aria-label", `${s.title || "Image"}: ${frame.full[0]} × ${frame.full[1]} px (rows × columns), ${kind} ${short(lo)} to ${short(hi)}`);
    this.drawColorbar(frame);
  }

  private drawColorbar(frame: Frame): void {
    const { settings: s, limits, bar } = this;
    bar.hidden = !s.colorbar || frame.complex || !limits;
    if (bar.hidden || !limits) return;
    if (!bar.firstChild) {
      make("span", "", bar);
      const strip = make("canvas", "", bar);
      [strip.width, strip.height] = [256, 1];
      make("span", "", bar);
    }
    const [low, strip, high] = [...bar.children] as [HTMLElement, HTMLCanvasElement, HTMLElement];
    const cyclic = CYCLIC.has(s.cmap) && Math.abs(limits[1] - Math.PI) < 0.01 && Math.abs(limits[0] + Math.PI) < 0.01;
    low.textContent = cyclic ? "-π" : short(limits[0]);
    high.textContent = cyclic ? "π" : short(limits[1]);
    const middle = limits[0] + unscaled(0.5, s.scale, s.gamma) * (limits[1] - limits[0]);
    bar.title = `${s.cmap}, ${s.scale} scale; middle colour at ${short(middle)}`;
    const g = strip.getContext("2d");
    if (!g) return;
    const image = g.createImageData(256, 1);
    new Uint32Array(image.data.buffer).set(lookup(s.cmap));
    g.putImageData(image, 0, 0);
  }

  private drawOverlay(t: Transform, ratio: number): void {
    const { overlay, settings: s, frame } = this;
    const [width, height] = this.size;
    const [pw, ph] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (overlay.width !== pw) overlay.width = pw;
    if (overlay.height !== ph) overlay.height = ph;
    const g = overlay.getContext("2d");
    if (!g) return;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    if (!frame) return;
    this.regions.forEach((region, i) => {
      const active = region.id === this.selected && (this.gestures.focused || this.gestures.held === region.id);
      drawRegion(g, region, t, regionColour(region, i), active);
    });
    if (s.scalebar) drawScaleBar(g, width, height, t, s.sampling?.[1] ?? null, s.unit);
    const line = this.regions.find((region) => region.shape === "line" && region.profile !== false);
    const low = line ? line.y + (line.y2 ?? line.y) > frame.full[0] : false;
    if (line) drawProfile(g, width, height, low, profile(frame, line), regionColour(line, this.regions.indexOf(line)));
    if (s.colorbar && frame.complex && this.limits) drawWheel(g, width, ratio);
    if (s.x_label) text(g, s.x_label, width - 8, height - 10, "right");
    if (s.y_label) text(g, s.y_label, 8, 18);
  }

  private writeStatus(): void {
    const { frame, hover, settings: s } = this;
    let message = "";
    const held = this.regions.find((region) => region.id === this.gestures.held);
    if (held) message = describe(held);
    else if (frame && hover) {
      const [y, x] = hover;
      const [row, column] = [Math.round(y), Math.round(x)];
      const [h, w] = frame.full;
      if (row >= 0 && column >= 0 && row < h && column < w) {
        message = `${short(valueAt(frame, y, x))}${frame.complex ? ` ∠ ${short(phaseAt(frame, y, x))} rad` : ""}  at x ${column}, y ${row}`;
        if (s.sampling) {
          const reciprocal = s.unit === "1/A" || s.unit === "mrad";
          const [oy, ox] = s.origin ?? (reciprocal ? [Math.floor(h / 2), Math.floor(w / 2)] : [0, 0]);
          const [dy, dx] = [(row - oy) * s.sampling[0], (column - ox) * s.sampling[1]];
          const digits = (v: number): number => Number(v.toPrecision(3));
          message += reciprocal
            ? `  (${withUnit(digits(Math.hypot(dy, dx)), s.unit)} from centre)`
            : `  (${withUnit(digits(dx), s.unit)}, ${withUnit(digits(dy), s.unit)})`;
        }
      }
    }
    if (!message && frame) {
      message = `${frame.full[0]} × ${frame.full[1]} px (rows × columns)`;
      if (frame.width !== frame.full[1]) message += `, shown at ${frame.height} × ${frame.width}`;
      if (this.zoom > 1) message += `, magnified ${place(this.zoom)} times`;
    }
    if (this.status.textContent !== message) this.status.textContent = message;
    this.status.title = message;
  }
}
