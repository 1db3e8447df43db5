// The anywidget adapter of FileDrop.
import type { RenderProps } from "@anywidget/types";
import { FileDrop } from "../lib/file-drop.js";

type Handler = (...args: never[]) => void;

function render({ model, el, signal }: RenderProps<Record<string, unknown>> & { signal?: AbortSignal }): () => void {
  const drop = new FileDrop(el, (content, buffers) => {
    try {
      model.send?.(content, undefined, buffers);
    } catch {
      // a page without a kernel
    }
  });
  const show = (): void => {
    drop.limit = Number(model.get("limit") ?? 0);
    drop.say(String(model.get("text") ?? ""));
  };
  const answer = ((message: { type?: string }) => drop.answer(message ?? {})) as Handler;
  const events: [string, Handler][] = [["change:limit", show], ["change:text", show], ["msg:custom", answer]];
  for (const [event, handler] of events) model.on(event as never, handler as never);
  show();
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    for (const [event, handler] of events) {
      try {
        model.off(event as never, handler as never);
      } catch {
        // a host that cannot take listeners off
      }
    }
    drop.destroy();
  };
  signal?.addEventListener("abort", end, { once: true });
  return end;
}

export default { render };
