// The list of a folder and the place where files are dropped, in a page without pixels.
// @vitest-environment happy-dom
import { afterEach, expect, it, vi } from "vitest";
import { FileDrop, PIECE } from "../lib/file-drop.js";
import { FileList } from "../lib/file-list.js";
import dropAdapter from "../widgets/file-drop.js";
import listAdapter from "../widgets/file-list.js";

afterEach(() => document.body.replaceChildren());

const place = (): HTMLElement => document.body.appendChild(document.createElement("div"));
const rows = ["alpha", "beta", "beet", "<b>gamma</b>"].map((name) => ({ name, mark: "▸", detail: "3 kB" }));
const list = () => {
  const events = { choose: vi.fn(), enter: vi.fn(), up: vi.fn() };
  const made = new FileList(place(), events);
  made.show(rows, "nothing");
  const key = (name: string, more = {}): boolean => made.root.dispatchEvent(new KeyboardEvent("keydown", { key: name, cancelable: true, bubbles: true, ...more }));
  return { made, events, key, items: [...made.root.querySelectorAll<HTMLElement>("[role=option]")] };
};

it("shows names as text", () => {
  const { made, items } = list();
  expect(items[3].children[1].textContent).toBe("<b>gamma</b>");
  expect(made.root.querySelector("b")).toBeNull();
  made.show([], "nothing <i>here</i>");
  expect([made.root.textContent, made.root.querySelector("i")]).toEqual(["nothing <i>here</i>", null]);
});

it("is chosen from by clicks and keys, and tells each choice once", () => {
  const { made, events, key, items } = list();
  items[1].click();
  items[1].click();
  expect(events.choose.mock.calls).toEqual([[1]]);
  expect(items[1].getAttribute("aria-selected")).toBe("true");
  expect(made.root.getAttribute("aria-activedescendant")).toBe(items[1].id);
  key("ArrowDown");
  key("End");
  key("ArrowDown");
  key("Home");
  key("PageDown");
  expect(events.choose.mock.calls.map(([index]) => index)).toEqual([1, 2, 3, 0, 3]);
  expect(items.filter((item) => item.getAttribute("aria-selected") === "true")).toHaveLength(1);
});

it("enters by Enter and double click, goes up by Backspace, and leaves other keys alone", () => {
  const { events, key, items } = list();
  expect(key("Enter")).toBe(true); // nothing is chosen: it is left alone
  expect(events.enter).not.toHaveBeenCalled();
  key("ArrowDown");
  expect(key("Enter")).toBe(false);
  items[2].dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
  key("Backspace");
  expect([events.enter.mock.calls, events.up.mock.calls.length]).toEqual([[[0], [2]], 1]);
  expect(key("Tab")).toBe(true);
  expect(key("s", { ctrlKey: true })).toBe(true);
});

it("finds what begins with the letters that are typed", () => {
  const { events, key } = list();
  key("b");
  key("e");
  key("e");
  expect(events.choose.mock.calls).toEqual([[1], [2]]);
});

class FakeModel {
  sent: [Record<string, unknown>, ArrayBuffer[] | undefined][] = [];
  handlers = new Map<string, Set<(...args: unknown[]) => void>>();
  constructor(readonly state: Record<string, unknown>) {}
  get = (name: string): unknown => this.state[name];
  set = (name: string, value: unknown): void => {
    this.state[name] = value;
    this.fire(`change:${name}`);
  };
  send = (content: Record<string, unknown>, _callbacks?: unknown, buffers?: ArrayBuffer[]): void => void this.sent.push([content, buffers]);
  on = (name: string, handler: (...args: unknown[]) => void): void => {
    if (!this.handlers.has(name)) this.handlers.set(name, new Set());
    this.handlers.get(name)?.add(handler);
  };
  off = (name: string, handler: (...args: unknown[]) => void): void => void this.handlers.get(name)?.delete(handler);
  fire = (name: string, ...args: unknown[]): void => this.handlers.get(name)?.forEach((handler) => handler(...args));
  get listeners(): number {
    return [...this.handlers.values()].reduce((sum, set) => sum + set.size, 0);
  }
}

it("tells a choice with the number of the listing that it is of", () => {
  const model = new FakeModel({ _rows: { number: 7, rows, label: "Files", chosen: 1 } });
  const el = place();
  const end = listAdapter.render({ model, el } as never) as () => void;
  const items = (): HTMLElement[] => [...el.querySelectorAll<HTMLElement>("[role=option]")];
  expect(items()[1].getAttribute("aria-selected")).toBe("true");
  items()[2].click();
  expect(model.sent.map(([content]) => content)).toEqual([{ type: "choose", index: 2, number: 7 }]);
  model.set("_rows", { number: 8, rows: rows.slice(0, 1), label: "Files", chosen: -1 });
  expect(items()).toHaveLength(1);
  end();
  end();
  expect([model.listeners, el.childElementCount]).toEqual([0, 0]);
});

it("sends a file piece by piece, each when it is asked for", async () => {
  const model = new FakeModel({ limit: 3 * PIECE, text: "up to 12 MB" });
  const el = place();
  const end = dropAdapter.render({ model, el } as never) as () => void;
  const input = el.querySelector("input") as HTMLInputElement;
  const file = new File([new Uint8Array(PIECE + 3)], "a.mib");
  Object.defineProperty(input, "files", { value: [file] });
  input.dispatchEvent(new Event("change"));
  expect(model.sent).toHaveLength(1);
  const { id, ...begun } = model.sent[0][0];
  expect(begun).toEqual({ type: "begin", name: "a.mib", size: PIECE + 3 });
  model.fire("msg:custom", { type: "piece", id, offset: 0 });
  await vi.waitFor(() => expect(model.sent).toHaveLength(2));
  expect(model.sent[1][1]?.[0].byteLength).toBe(PIECE);
  model.fire("msg:custom", { type: "piece", id: "another", offset: 0 });
  model.fire("msg:custom", { type: "piece", id, offset: PIECE });
  await vi.waitFor(() => expect(model.sent).toHaveLength(3));
  expect([model.sent[2][0].offset, model.sent[2][1]?.[0].byteLength]).toEqual([PIECE, 3]);
  expect(el.querySelector("span")?.textContent).toContain("%");
  model.fire("msg:custom", { type: "end", id });
  expect(el.querySelector("span")?.textContent).toBe("up to 12 MB");
  end();
  expect([model.listeners, el.childElementCount]).toEqual([0, 0]);
});

it("refuses what is too large before it sends any of it, and goes on with the next", () => {
  const send = vi.fn();
  const drop = new FileDrop(place(), send);
  drop.limit = 4;
  drop.take([new File(["12345"], "large"), new File(["1234"], "small")]);
  expect(send.mock.calls.map(([content]) => [content.type, content.name])).toEqual([["refused", "large"], ["begin", "small"]]);
});

it("takes what is dropped on it, and nothing that is no file", () => {
  const send = vi.fn();
  const drop = new FileDrop(place(), send);
  drop.limit = 10;
  const dragged = (type: string, types: string[]): boolean => {
    const event = new Event(type, { cancelable: true, bubbles: true });
    Object.defineProperty(event, "dataTransfer", { value: { types, files: [new File(["1"], "one")] } });
    return drop.root.dispatchEvent(event);
  };
  expect(dragged("dragenter", ["text/plain"])).toBe(true);
  expect(dragged("dragenter", ["Files"])).toBe(false);
  expect(drop.root.classList.contains("pty-over")).toBe(true);
  dragged("drop", ["Files"]);
  expect(drop.root.classList.contains("pty-over")).toBe(false);
  expect(send.mock.calls[0][0]).toMatchObject({ type: "begin", name: "one", size: 1 });
});
