// Mouse, pen, finger and keyboard on an ImageView. The view draws at once; its owner hears of a drag once per animation frame.
import { dragged, grown, hitTest, moved, toData, type Hit, type Part, type Region } from "./regions.js";
import type { ImageView } from "./image-view.js";

interface Drag {
  pointer: number;
  region: Region | null; // as it was at the start; null when the image is moved
  part: Part;
  from: [number, number]; // data pixels
  last: [number, number]; // stage pixels
}

const CURSORS: Record<Part, string> = {
  body: "move", r: "ew-resize", r_inner: "ew-resize", angle: "grab", start: "crosshair", end: "crosshair", corner: "nwse-resize", h: "ns-resize", w: "ew-resize",
};
const ARROWS: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export class Gestures {
  focused = false;
  private drag: Drag | null = null;
  private fingers = new Map<number, [number, number]>();
  private frame = 0;
  private pending: Region | null = null;
  private pressed: [number, number] = [0, 0]; // where the last press was
  private readonly stop = new AbortController();

  constructor(private readonly view: ImageView) {
    const { stage, root } = view;
    const options = { signal: this.stop.signal };
    stage.addEventListener("pointerdown", (e) => this.down(e), options);
    stage.addEventListener("pointermove", (e) => this.move(e), options);
    stage.addEventListener("pointerup", (e) => this.up(e), options);
    stage.addEventListener("pointercancel", (e) => this.up(e), options);
    stage.addEventListener("lostpointercapture", (e) => this.up(e), options);
    stage.addEventListener("pointerleave", () => this.drag || view.setHover(null), options);
    stage.addEventListener("wheel", (e) => this.wheel(e), { ...options, passive: false });
    stage.addEventListener("click", (e) => this.click(e), options);
    stage.addEventListener("dblclick", (e) => this.doubleClick(e), options);
    stage.addEventListener("auxclick", (e) => e.preventDefault(), options);
    root.addEventListener("keydown", (e) => this.key(e), options);
    root.addEventListener("focusin", () => this.focus(true), options);
    root.addEventListener("focusout", () => this.focus(false), options);
  }

  /** Id of the region that the user holds. */
  get held(): string | null {
    return this.drag?.region?.id ?? null;
  }

  destroy(): void {
    this.stop.abort();
    cancelAnimationFrame(this.frame);
  }

  /** A finger scrolls the page over an image where there is nothing to drag. */
  refresh(): void {
    const busy = this.view.zoom > 1 || this.view.regions.some((region) => region.movable !== false || region.resizable !== false);
    this.view.stage.style.touchAction = busy ? "none" : "pan-y";
  }

  private focus(on: boolean): void {
    this.focused = on;
    if (on && this.view.selected === null) this.view.selected = this.view.regions[0]?.id ?? null;
    this.view.redraw();
  }

  private at(e: MouseEvent): [number, number] {
    const box = this.view.stage.getBoundingClientRect();
    const { stage } = this.view;
    return [e.clientX - box.left - stage.clientLeft, e.clientY - box.top - stage.clientTop];
  }

  private hit(sx: number, sy: number): Hit | null {
    return hitTest(this.view.regions, this.view.selected, sx, sy, this.view.transform);
  }

  private down(e: PointerEvent): void {
    if ((e.target as HTMLElement).closest?.(".pty-image-help") || !this.view.frame) return;
    const { view } = this;
    const [sx, sy] = (this.pressed = this.at(e));
    view.toggleHelp(false);
    view.root.focus({ preventScroll: true });
    this.fingers.set(e.pointerId, [sx, sy]);
    if (this.fingers.size === 2) {
      this.release(true);
      return;
    }
    if (this.drag || (e.button !== 0 && e.button !== 1)) return;
    e.preventDefault(); // no text selection, no autoscroll by the middle button
    const from = toData(view.transform, sx, sy);
    const wantsPan = e.shiftKey || e.button === 1;
    let hit = wantsPan ? null : this.hit(sx, sy);
    let region = hit ? view.regions.find((r) => r.id === hit?.id) ?? null : null;
    if (!hit && !wantsPan) {
      const point = this.pointUnder(from);
      if (point) {
        region = moved(point, from[0] - point.y, from[1] - point.x, view.imageShape);
        hit = { id: point.id, part: "body" };
      }
    }
    if (!hit && view.zoom <= 1) return;
    this.drag = { pointer: e.pointerId, region, part: hit?.part ?? "body", from, last: [sx, sy] };
    try {
      view.stage.setPointerCapture(e.pointerId);
    } catch {
      // a pointer that has gone already: the drag ends with its next event
    }
    if (region) {
      view.select(region.id);
      const before = view.regions.find((r) => r.id === region?.id);
      if (before !== region) this.tell(region);
      view.redraw();
    } else view.stage.style.cursor = "grabbing";
  }

  /** A click anywhere on the image moves its point, where it has one. */
  private pointUnder([y, x]: [number, number]): Region | null {
    const [h, w] = this.view.imageShape;
    if (y < -0.5 || x < -0.5 || y > h - 0.5 || x > w - 0.5) return null;
    return this.view.regions.find((region) => region.shape === "point" && region.movable !== false) ?? null;
  }

  private move(e: PointerEvent): void {
    const { view } = this;
    const [sx, sy] = this.at(e);
    const before = this.fingers.get(e.pointerId);
    if (before) {
      if (this.fingers.size === 2) {
        this.pinch(e.pointerId, before, [sx, sy]);
        return;
      }
      this.fingers.set(e.pointerId, [sx, sy]);
    }
    const to = toData(view.transform, sx, sy);
    if (!this.drag) {
      const hit = this.hit(sx, sy);
      const region = hit && view.regions.find((r) => r.id === hit.id);
      view.stage.style.cursor = hit ? (region?.shape === "point" ? "crosshair" : CURSORS[hit.part]) : this.pointUnder(to) ? "crosshair" : view.zoom > 1 ? "grab" : "";
      view.setHover(to);
      return;
    }
    if (e.pointerId !== this.drag.pointer) return;
    const { region, part, from, last } = this.drag;
    if (region) this.tell(dragged(region, part, from, to, view.imageShape));
    else view.movePan(sx - last[0], sy - last[1]);
    this.drag.last = [sx, sy];
  }

  private pinch(id: number, before: [number, number], now: [number, number]): void {
    const other = [...this.fingers].find(([key]) => key !== id)?.[1];
    this.fingers.set(id, now);
    if (!other) return;
    const apart = (p: [number, number]): number => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
    this.view.magnify(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    this.view.movePan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  private up(e: PointerEvent): void {
    this.fingers.delete(e.pointerId);
    if (this.drag?.pointer === e.pointerId) this.release();
  }

  /** The drag ends: the region as it stands is told once more, as final. */
  private release(pinching = false): void {
    const { view, drag } = this;
    if (!drag) return;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.pending = null;
    const region = view.regions.find((r) => r.id === drag.region?.id);
    this.drag = null;
    if (region) view.changeRegion(region, true);
    view.stage.style.cursor = !pinching && !drag.region && view.zoom > 1 ? "grab" : "";
    view.redraw();
  }

  /** At most one message per animation frame; the region itself follows the pointer at once. */
  private tell(region: Region): void {
    this.view.regions = this.view.regions.map((r) => (r.id === region.id ? region : r));
    this.pending = region;
    this.view.redraw();
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        if (this.pending) this.view.changeRegion(this.pending, false);
        this.pending = null;
      });
    }
  }

  private wheel(e: WheelEvent): void {
    if (!(e.ctrlKey || e.metaKey || this.focused) || !this.view.frame) return; // the notebook scrolls
    if (e.deltaY > 0 && this.view.zoom <= 1 && !e.ctrlKey) return;
    e.preventDefault();
    const lines = e.deltaMode === 1 ? 16 : 1;
    this.view.magnify(Math.exp(-Math.max(-120, Math.min(120, e.deltaY * lines)) / 400), ...this.at(e));
  }

  /** A click picks the image where it is one to choose; the end of a drag is no click. */
  private click(e: MouseEvent): void {
    const [sx, sy] = this.at(e);
    if (this.view.settings.picked !== null && Math.hypot(sx - this.pressed[0], sy - this.pressed[1]) < 5) this.view.events.pick?.();
  }

  private doubleClick(e: MouseEvent): void {
    if (!this.hit(...this.at(e))) this.view.reset();
  }

  private key(e: KeyboardEvent): void {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if ((e.target as HTMLElement).tagName === "BUTTON" && (e.key === "Enter" || e.key === " ")) return;
    if (this.handled(e)) {
      e.preventDefault();
      e.stopPropagation();
    }
  }

  private handled(e: KeyboardEvent): boolean {
    const { view } = this;
    const region = view.regions.find((r) => r.id === view.selected);
    const arrow = ARROWS[e.key];
    if (arrow) {
      const step = e.shiftKey ? 10 : 1;
      if (region && region.shape === "angle" && region.resizable !== false) {
        view.changeRegion(grown(region, step * (arrow[1] - arrow[0])), true);
      } else if (region && region.movable !== false) {
        view.changeRegion(moved(region, arrow[0] * step, arrow[1] * step, view.imageShape), true);
      } else if (view.zoom > 1) view.movePan(-arrow[1] * 20 * step, -arrow[0] * 20 * step);
      else return false;
      return true;
    }
    switch (e.key) {
      case "Tab":
        return this.nextRegion(e.shiftKey ? -1 : 1, e.target === view.root);
      case "+":
      case "=":
        view.magnify(1.5);
        return true;
      case "-":
        view.magnify(1 / 1.5);
        return true;
      case "0":
        view.reset();
        return true;
      case "[":
      case "]":
        if (region) view.changeRegion(grown(region, e.key === "]" ? 1 : -1), true);
        return region !== undefined;
      case "l":
        view.nextScale();
        return true;
      case "?":
        view.toggleHelp();
        return true;
      case "Escape":
        view.toggleHelp(false);
        view.root.blur();
        return true;
    }
    if (view.settings.picked !== null && (e.key === "Enter" || e.key === " ")) {
      view.events.pick?.();
      return true;
    }
    if (!view.settings.hotkeys.includes(e.key)) return false;
    view.events.key?.(e.key);
    return true;
  }

  /** Tab goes through the regions, then on to whatever follows the image: nobody is trapped. */
  private nextRegion(step: number, inside: boolean): boolean {
    const { view } = this;
    const ids = view.regions.filter((r) => r.movable !== false || r.resizable !== false).map((r) => r.id);
    const next = ids.indexOf(view.selected ?? "") + step;
    if (!inside || ids.length < 2 || next < 0 || next >= ids.length) return false;
    view.select(ids[next]);
    return true;
  }
}
