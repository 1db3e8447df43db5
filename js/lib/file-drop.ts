// A place where files are dropped or picked, and sent piece by piece: a server takes messages of 10 MB at most, and each
// piece waits until the one before has arrived.

export type Send = (content: Record<string, unknown>, buffers?: ArrayBuffer[]) => void;
export const PIECE = 4_000_000; // bytes

export class FileDrop {
  readonly root = document.createElement("div");
  private readonly button = document.createElement("button");
  private readonly words = document.createElement("span");
  private readonly input = document.createElement("input");
  private readonly waiting: File[] = [];
  private now: { file: File; id: string } | null = null;
  private inside = 0;
  private text = "";
  limit = 0; // bytes of a file

  constructor(el: HTMLElement, private readonly send: Send) {
    this.root.className = "pty-drop";
    this.root.setAttribute("data-testid", "pty-drop");
    this.button.type = "button";
    this.button.textContent = "Upload …";
    this.input.type = "file";
    this.input.multiple = true;
    this.input.tabIndex = -1;
    this.words.setAttribute("role", "status");
    this.button.addEventListener("click", () => this.input.click());
    this.input.addEventListener("change", () => {
      this.take([...(this.input.files ?? [])]);
      this.input.value = ""; // so that the same file can be picked again
    });
    for (const name of ["dragenter", "dragover", "dragleave", "drop"])
      this.root.addEventListener(name, (event) => this.dragged(event as DragEvent));
    this.root.append(this.button, this.words, this.input);
    el.appendChild(this.root);
  }

  say(text: string): void {
    this.text = text;
    if (!this.now) this.words.textContent = text;
  }

  /** Send these files, one after the other, after those that are on their way. */
  take(files: File[]): void {
    this.waiting.push(...files);
    if (!this.now) this.next();
  }

  /** What Python says of the file that is being sent: which piece it wants next, or that it has all, or wants no more. */
  answer(message: { type?: string; id?: string; offset?: number }): void {
    if (!this.now || message.id !== this.now.id) return;
    if (message.type === "piece") void this.piece(this.now.file, this.now.id, Number(message.offset ?? 0));
    else if (message.type === "end") this.next();
  }

  destroy(): void {
    this.waiting.length = 0;
    this.now = null;
    this.root.remove();
  }

  private next(): void {
    const file = this.waiting.shift();
    this.now = file ? { file, id: Math.random().toString(36).slice(2) } : null;
    this.words.textContent = this.text;
    if (!file || !this.now) return;
    const { name, size } = file;
    if (size > this.limit) {
      this.now = null;
      this.send({ type: "refused", name, size });
      this.next();
      return;
    }
    this.words.textContent = `${name}: 0 %`;
    this.send({ type: "begin", id: this.now.id, name, size });
  }

  private async piece(file: File, id: string, offset: number): Promise<void> {
    let bytes: ArrayBuffer;
    try {
      bytes = await file.slice(offset, offset + PIECE).arrayBuffer();
    } catch {
      // it was changed or taken away since it was picked, or is a folder
      this.send({ type: "unreadable", id, name: file.name });
      if (this.now?.id === id) this.next();
      return;
    }
    if (this.now?.id !== id) return;
    this.words.textContent = `${file.name}: ${Math.floor((100 * offset) / Math.max(file.size, 1))} %`;
    this.send({ type: "piece", id, offset }, [bytes]);
  }

  private dragged(event: DragEvent): void {
    if (!event.dataTransfer?.types?.includes?.("Files")) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook would upload it into the server's folder
    if (event.type === "dragenter") this.inside += 1;
    if (event.type === "dragleave") this.inside -= 1;
    if (event.type === "drop") {
      this.inside = 0;
      this.take([...event.dataTransfer.files]);
    }
    this.root.classList.toggle("pty-over", this.inside > 0);
  }
}
