// The anywidget adapter of ImageView: traits and messages on one side, the view on the other.
import type { AnyModel, RenderProps } from "@anywidget/types";
import type { Header } from "../lib/frame.js";
import { ImageView, DEFAULTS, type Cursor, type Settings } from "../lib/image-view.js";
import { FrameInbox, Puller } from "../lib/inbox.js";
import type { Region } from "../lib/regions.js";

type Model = AnyModel<Record<string, unknown>>;
type Handler = (...args: never[]) => void;
type Lifetime = { model: Model; signal?: AbortSignal };

/** What all views of one model share. */
class Store {
  readonly inbox = new FrameInbox();
  readonly views = new Set<ImageView>();
  readonly puller: Puller;
  change = 0; // number of the last change of a region made here
  readonly id = Math.random().toString(36).slice(2);
  private readonly undo: (() => void)[] = [];

  constructor(readonly model: Model) {
    this.puller = new Puller(() => this.views.size > 0 && model.get("live") === true, () => this.pull());
    this.inbox.subscribe(() => this.puller.restart());
    listen(model, this.undo, "msg:custom", ((message: Header & { type?: string }, buffers?: unknown[]) => {
      if (message?.type === "frame") this.inbox.offer(message, buffers?.[0]);
    }) as Handler);
    listen(model, this.undo, "change:still_meta", () => this.readStill());
    listen(model, this.undo, "change:live", () => this.liveChanged());
    this.readStill();
  }

  pull(): void {
    this.send({ type: "pull", have: this.inbox.seq });
  }

  send(content: Record<string, unknown>): void {
    try {
      this.model.send?.(content);
    } catch {
      // a page without a kernel
    }
  }

  close(): void {
    this.puller.stop();
    for (const step of this.undo.splice(0)) step();
  }

  private readStill(): void {
    const meta = this.model.get("still_meta") as Header | undefined;
    if (meta && typeof meta.seq === "number") this.inbox.offer(meta, this.model.get("still"));
  }

  /** When a run ends its last frame may still be on its way: ask for it. */
  private liveChanged(): void {
    if (this.model.get("live") !== true && this.views.size > 0) this.pull();
    this.puller.restart();
  }
}

const stores = new Map<unknown, Store>();

/** The store of a model: `initialize` and `render` get different wrappers of it, so its own name is the key. */
function storeOf(model: Model): Store {
  const key = model.get("uid") || model;
  let store = stores.get(key);
  if (!store) stores.set(key, (store = new Store(model)));
  return store;
}

function listen(model: Model, undo: (() => void)[], event: string, handler: Handler): void {
  model.on?.(event as never, handler as never);
  undo.push(() => {
    try {
      model.off?.(event as never, handler as never);
    } catch {
      // a host that cannot take listeners off
    }
  });
}

/** Run `end` once, at the abort or at the cleanup, whichever a host knows. */
function whenOver(signal: AbortSignal | undefined, end: () => void): () => void {
  let over = false;
  const once = (): void => {
    if (!over) end();
    over = true;
  };
  signal?.addEventListener("abort", once, { once: true });
  return once;
}

function initialize({ model, signal }: Lifetime): () => void {
  const store = storeOf(model);
  return whenOver(signal, () => {
    store.close();
    for (const [key, value] of stores) if (value === store) stores.delete(key);
  });
}

function render({ model, el, signal }: RenderProps<Record<string, unknown>> & { signal?: AbortSignal }): () => void {
  const store = storeOf(model);
  let request = 0;
  const view = new ImageView(el, {
    region: (region, final) => {
      store.change += 1;
      store.send({ type: "region", region, final, change: [store.id, store.change] });
      for (const other of store.views) if (other !== view) other.setRegions(view.regions);
    },
    key: (key) => store.send({ type: "key", key }),
    pick: () => store.send({ type: "pick" }),
    cursor: (cursor) => tellCursor(cursor),
    setting: (name, value) => {
      model.set(name, value);
      model.save_changes?.();
    },
  });

  let nextCursor: Cursor | null = null;
  let cursorTimer: ReturnType<typeof setTimeout> | undefined;
  const tellCursor = (cursor: Cursor | null): void => {
    if (!model.get("cursor")) return;
    nextCursor = cursor;
    cursorTimer ??= setTimeout(() => {
      cursorTimer = undefined;
      const value = nextCursor && Number.isFinite(nextCursor.value) ? nextCursor.value : null; // JSON has no NaN
      store.send({ type: "cursor", ...(nextCursor ?? { y: null, x: null }), value });
    }, 50);
  };

  const undo: (() => void)[] = [];
  const settings = (): void => {
    const changes: Record<string, unknown> = {};
    for (const name of Object.keys(DEFAULTS)) {
      const value = model.get(name);
      if (value !== undefined) changes[name] = value;
    }
    view.set(changes as Partial<Settings>);
  };
  const regions = (): void => {
    const sent = (model.get("_regions") ?? {}) as { regions?: Region[]; change?: [string, number] };
    const [from, number] = sent.change ?? ["", 0];
    if (from === store.id && number < store.change) return; // the echo of an older change
    view.setRegions(sent.regions ?? []);
  };
  const newFrame = (): void => {
    if (!request) request = requestAnimationFrame(show);
  };
  const show = (): void => {
    request = 0;
    const { frame, error, seq } = store.inbox;
    if (error) view.showMessage(error);
    else if (frame && frame !== view.frame) view.show(frame);
    if (seq >= 0) store.send({ type: "ack", seq });
  };

  for (const name of Object.keys(DEFAULTS)) listen(model, undo, `change:${name}`, settings);
  listen(model, undo, "change:_regions", regions);
  undo.push(store.inbox.subscribe(newFrame));
  store.views.add(view);
  settings();
  regions();
  if (store.inbox.seq >= 0) show();
  store.pull();
  store.puller.restart();
  return whenOver(signal, () => {
    store.views.delete(view);
    for (const step of undo) step();
    cancelAnimationFrame(request);
    clearTimeout(cursorTimer);
    view.destroy();
  });
}

export default { initialize, render };
