// The anywidget adapter of FileList: rows come as one trait with their number, choices go back as messages with it.
import type { AnyModel, RenderProps } from "@anywidget/types";
import { FileList, type FileRow } from "../lib/file-list.js";

type Model = AnyModel<Record<string, unknown>>;
type Rows = { number?: number; rows?: FileRow[]; empty?: string; label?: string; chosen?: number };

function render({ model, el, signal }: RenderProps<Record<string, unknown>> & { signal?: AbortSignal }): () => void {
  let number = -1;
  const send = (content: Record<string, unknown>): void => {
    try {
      (model as Model).send?.({ ...content, number });
    } catch {
      // a page without a kernel
    }
  };
  const list = new FileList(el, {
    choose: (index) => send({ type: "choose", index }),
    enter: (index) => send({ type: "enter", index }),
    up: () => send({ type: "up" }),
  });
  const show = (): void => {
    const shown = (model.get("_rows") ?? {}) as Rows;
    if (shown.number !== number) list.show(shown.rows ?? [], shown.empty ?? "");
    number = shown.number ?? 0;
    list.label(shown.label ?? "");
    list.choose(shown.chosen ?? -1);
    list.root.dataset.number = String(number);
  };
  model.on("change:_rows", show);
  show();
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    try {
      model.off("change:_rows", show);
    } catch {
      // a host that cannot take listeners off
    }
    list.destroy();
  };
  signal?.addEventListener("abort", end, { once: true });
  return end;
}

export default { render };
