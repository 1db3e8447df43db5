// The frame protocol and the adapter, in a page without pixels: a fake model on one side, happy-dom on the other.
// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FrameInbox, Puller } from "../lib/inbox.js";
import adapter from "../widgets/image-view.js";

const header = (seq: number, more = {}) => ({ type: "frame", seq, shape: [2, 2] as const, dtype: "uint8", lo: 0, hi: 255, ...more });
const pixels = () => new Uint8Array(4);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "requestAnimationFrame", "cancelAnimationFrame", "Date"] });
  vi.stubGlobal("Path2D", class { moveTo() {} lineTo() {} rect() {} ellipse() {} arc() {} });
  const context = new Proxy({}, {
    get: (_, name) => name === "createImageData" ? (w: number, h: number) => ({ data: new Uint8ClampedArray(4 * w * h) }) : name === "measureText" ? () => ({ width: 30 }) : () => undefined,
    set: () => true,
  });
  HTMLCanvasElement.prototype.getContext = (() => context) as never;
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  document.body.replaceChildren();
});

describe("inbox", () => {
  it("drops stale frames and keeps the last good one beside an error", () => {
    const inbox = new FrameInbox();
    expect(inbox.offer(header(5), pixels())).toBe(true);
    expect(inbox.offer(header(4), pixels())).toBe(false);
    expect(inbox.frame?.seq).toBe(5);
    expect(inbox.offer(header(6), new Uint8Array(1))).toBe(true);
    expect([inbox.frame?.seq, inbox.seq, inbox.error]).toEqual([5, 6, "Image 6 has 1 bytes; 2 x 2 px need 4."]);
    inbox.offer(header(7), pixels());
    expect([inbox.frame?.seq, inbox.error]).toEqual([7, ""]);
  });
  it("ignores what is no frame", () => expect(new FrameInbox().offer({} as never, undefined)).toBe(false));
});

it("asks while live and silent, less and less often", () => {
  let live = true;
  const pull = vi.fn();
  const puller = new Puller(() => live, pull);
  puller.restart();
  vi.advanceTimersByTime(390);
  expect(pull).toHaveBeenCalledTimes(0);
  vi.advanceTimersByTime(20);
  expect(pull).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(60_000);
  expect(pull.mock.calls.length).toBeLessThan(30);
  puller.restart();
  pull.mockClear();
  vi.advanceTimersByTime(410);
  expect(pull).toHaveBeenCalledTimes(1);
  live = false;
  vi.advanceTimersByTime(1000);
  pull.mockClear();
  vi.advanceTimersByTime(9000);
  expect(pull).not.toHaveBeenCalled();
});

class FakeModel {
  sent: Record<string, unknown>[] = [];
  handlers = new Map<string, Set<(...args: unknown[]) => void>>();
  constructor(readonly state: Record<string, unknown>) {}
  get = (name: string): unknown => this.state[name];
  set = (name: string, value: unknown): void => {
    this.state[name] = value;
    this.fire(`change:${name}`);
  };
  save_changes = (): void => {};
  send = (content: Record<string, unknown>): void => void this.sent.push(content);
  on = (name: string, handler: (...args: unknown[]) => void): void => {
    if (!this.handlers.has(name)) this.handlers.set(name, new Set());
    this.handlers.get(name)?.add(handler);
  };
  off = (name: string, handler: (...args: unknown[]) => void): void => void this.handlers.get(name)?.delete(handler);
  fire = (name: string, ...args: unknown[]): void => this.handlers.get(name)?.forEach((handler) => handler(...args));
  frame = (seq: number, data: unknown = pixels()): void => this.fire("msg:custom", header(seq), [data]);
  of = (type: string): Record<string, unknown>[] => this.sent.filter((message) => message.type === type);
  get listeners(): number {
    return [...this.handlers.values()].reduce((sum, set) => sum + set.size, 0);
  }
}

let number = 0;
const mount = (model: FakeModel, signal?: AbortSignal) => {
  const el = document.body.appendChild(document.createElement("div"));
  const cleanup = adapter.render({ model, el, signal, experimental: {} } as never);
  return { el, cleanup, canvas: el.querySelector<HTMLCanvasElement>("[data-testid=pty-canvas]") as HTMLCanvasElement };
};
const fresh = (state = {}): FakeModel => new FakeModel({ uid: `model ${++number}`, title: "T", ...state });

describe("adapter", () => {
  it("keeps frames sent before it is displayed, and acknowledges after the paint only", () => {
    const model = fresh();
    adapter.initialize({ model } as never);
    model.frame(1);
    model.frame(2);
    expect(model.sent).toEqual([]);
    const { canvas } = mount(model);
    expect(canvas.dataset.seq).toBe("2");
    expect(model.of("ack")).toEqual([{ type: "ack", seq: 2 }]);
    expect(model.of("pull")).toEqual([{ type: "pull", have: 2 }]);
    model.frame(3);
    model.frame(4);
    expect(model.of("ack")).toHaveLength(1);
    vi.advanceTimersByTime(50);
    expect(model.of("ack").map((message) => message.seq)).toEqual([2, 4]); // one paint per animation frame
    model.frame(3);
    vi.advanceTimersByTime(50);
    expect(canvas.dataset.seq).toBe("4");
  });
  it("shows the frame kept in the notebook, from a DataView", () => {
    const { canvas } = mount(fresh({ still: new DataView(new ArrayBuffer(4)), still_meta: header(9) }));
    expect([canvas.dataset.seq, canvas.dataset.ready]).toEqual(["9", "1"]);
  });
  it("shows what is wrong with a frame, acknowledges it and goes on", () => {
    const model = fresh();
    const { el, canvas } = mount(model);
    model.frame(1, new Uint8Array(3));
    vi.advanceTimersByTime(50);
    expect(el.querySelector("[data-testid=pty-status]")?.textContent).toContain("3 bytes");
    expect(model.of("ack")).toHaveLength(1);
    model.frame(2);
    vi.advanceTimersByTime(50);
    expect(canvas.dataset.seq).toBe("2");
    expect(el.querySelector<HTMLElement>("[data-testid=pty-status]")?.hidden).toBe(true);
  });
  it("pulls when live and silent, and once more when the run has ended", () => {
    const model = fresh({ live: true });
    mount(model);
    model.sent = [];
    vi.advanceTimersByTime(450);
    expect(model.of("pull")).toHaveLength(1);
    model.sent = [];
    model.set("live", false);
    expect(model.of("pull")).toHaveLength(1);
    vi.advanceTimersByTime(9000);
    expect(model.of("pull")).toHaveLength(1);
  });
  it("writes titles as text", () => {
    const { el } = mount(fresh({ title: "<img src=x onerror=1>" }));
    expect(el.querySelector("img")).toBeNull();
    expect(el.querySelector(".pty-image-title")?.textContent).toBe("<img src=x onerror=1>");
  });
  it("moves the selected region by keys, numbers its changes, and ignores older echoes", () => {
    const regions = [{ id: "a", shape: "disk", y: 1, x: 1, r: 1 }];
    const model = fresh({ _regions: { regions, change: ["", 0] }, still: pixels(), still_meta: header(1) });
    const { el } = mount(model);
    const root = el.querySelector<HTMLElement>(".pty-image-view") as HTMLElement;
    root.focus();
    const press = (key: string) => root.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    press("ArrowUp");
    press("]");
    const told = model.of("region") as { region: { y: number; r: number }; final: boolean; change: [string, number] }[];
    expect(told.map((message) => [message.region.y, message.region.r, message.final, message.change[1]])).toEqual([[0, 1, true, 1], [0, 2, true, 2]]);
    model.set("_regions", { regions, change: told[0].change }); // the echo of the first, late
    press("]");
    expect((model.of("region")[2] as typeof told[0]).region).toMatchObject({ y: 0, r: 3 });
  });
  it("is picked by a click or Enter where it is one to choose, and not by the end of a drag", () => {
    const model = fresh({ picked: false, note: "transposed", still: pixels(), still_meta: header(1) });
    const root = mount(model).el.querySelector<HTMLElement>(".pty-image-view") as HTMLElement;
    const stage = root.querySelector<HTMLElement>(".pty-image-stage") as HTMLElement;
    expect([root.getAttribute("role"), root.getAttribute("aria-pressed"), root.getAttribute("aria-label")]).toEqual(["button", "false", "T, transposed"]);
    const mouse = (type: string, clientX: number) => stage.dispatchEvent(new (type === "click" ? MouseEvent : PointerEvent)(type, { clientX, clientY: 5, bubbles: true }));
    mouse("pointerdown", 5);
    mouse("click", 6);
    mouse("pointerdown", 5);
    mouse("click", 60);
    root.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    expect(model.of("pick")).toHaveLength(2);
    model.set("picked", true);
    expect([root.getAttribute("aria-pressed"), root.classList.contains("pty-picked")]).toEqual(["true", true]);
    model.set("picked", null);
    mouse("pointerdown", 5);
    mouse("click", 5);
    expect([model.of("pick").length, root.getAttribute("role"), root.getAttribute("aria-pressed")]).toEqual([2, "group", null]);
  });
  it("leaves nothing behind, by the signal or by its cleanup", () => {
    const model = fresh();
    const stop = new AbortController();
    const end = adapter.initialize({ model } as never);
    const first = model.listeners;
    const view = mount(model, stop.signal);
    const other = mount(model);
    expect(model.listeners).toBeGreaterThan(first);
    stop.abort();
    view.cleanup();
    other.cleanup();
    expect(model.listeners).toBe(first);
    expect(document.querySelector(".pty-image-view")).toBeNull();
    end();
    expect(model.listeners).toBe(0);
  });
  it("works on a page whose model can do next to nothing", () => {
    const { canvas } = mount({ get: (name: string) => ({ still: pixels(), still_meta: header(3) })[name] } as never);
    expect(canvas.dataset.seq).toBe("3");
  });
});
