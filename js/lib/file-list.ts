// A list of names with one of them chosen: mouse, keys, and the first letters of a name. All text is text, never HTML.

export type FileRow = { name: string; mark?: string; detail?: string; dim?: boolean };
export type FileEvents = {
  choose: (index: number) => void; // another row is chosen
  enter: (index: number) => void; // double click, or Enter
  up: () => void; // Backspace
};

const PAGE = 10; // rows of PageUp and PageDown
const TYPED = 800; // ms between letters of one word
let lists = 0;

export class FileList {
  readonly root = document.createElement("div");
  private rows: readonly FileRow[] = [];
  private items: HTMLElement[] = [];
  private chosen = -1;
  private word = "";
  private typed = 0;
  private readonly name = `pty-files-${++lists}`;

  constructor(el: HTMLElement, private readonly events: FileEvents) {
    this.root.className = "pty-files";
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "listbox");
    this.root.setAttribute("data-testid", "pty-files");
    this.root.setAttribute("data-lm-suppress-shortcuts", "true"); // keys are the list's, not the notebook's
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("click", (event) => this.pick(this.index(event)));
    this.root.addEventListener("dblclick", (event) => {
      const index = this.index(event);
      if (index >= 0) this.events.enter(index);
    });
    el.appendChild(this.root);
  }

  /** Show other rows; the one that is chosen is told by `choose`. */
  show(rows: readonly FileRow[], empty: string): void {
    this.rows = rows;
    this.chosen = -1;
    this.word = "";
    this.items = rows.map((row, index) => this.item(row, index));
    if (rows.length === 0) {
      const words = document.createElement("div");
      words.className = "pty-files-empty";
      words.textContent = empty;
      this.root.replaceChildren(words);
    } else this.root.replaceChildren(...this.items);
    this.root.scrollTop = 0;
    this.root.removeAttribute("aria-activedescendant");
  }

  label(text: string): void {
    this.root.setAttribute("aria-label", text);
  }

  /** Mark a row as chosen, without an event; -1 for none. */
  choose(index: number): void {
    this.items[this.chosen]?.setAttribute("aria-selected", "false");
    this.chosen = index >= 0 && index < this.items.length ? index : -1;
    const item = this.items[this.chosen];
    if (!item) {
      this.root.removeAttribute("aria-activedescendant");
      return;
    }
    item.setAttribute("aria-selected", "true");
    this.root.setAttribute("aria-activedescendant", item.id);
    const above = item.offsetTop - this.root.offsetTop; // not scrollIntoView, which moves the page, too
    if (above < this.root.scrollTop) this.root.scrollTop = above;
    const below = above + item.offsetHeight - this.root.clientHeight;
    if (below > this.root.scrollTop) this.root.scrollTop = below;
  }

  destroy(): void {
    this.root.remove();
  }

  private item(row: FileRow, index: number): HTMLElement {
    const item = document.createElement("div");
    item.className = row.dim ? "pty-file pty-dim" : "pty-file";
    item.id = `${this.name}-${index}`;
    item.dataset.index = String(index);
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    for (const text of [row.mark, row.name, row.detail]) {
      const part = document.createElement("span");
      part.textContent = text ?? "";
      item.appendChild(part);
    }
    (item.firstElementChild as HTMLElement).setAttribute("aria-hidden", "true");
    return item;
  }

  private index(event: Event): number {
    const item = (event.target as Element | null)?.closest?.<HTMLElement>("[data-index]");
    return item ? Number(item.dataset.index) : -1;
  }

  private pick(index: number): void {
    if (index < 0 || index >= this.items.length || index === this.chosen) return;
    this.choose(index);
    this.events.choose(index);
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.rows.length - 1;
    const to: Record<string, number> = {
      ArrowDown: this.chosen + 1, ArrowUp: this.chosen < 0 ? last : this.chosen - 1, Home: 0, End: last,
      PageDown: this.chosen + PAGE, PageUp: this.chosen - PAGE,
    };
    if (event.key in to) this.pick(Math.max(0, Math.min(last, to[event.key])));
    else if (event.key === "Enter" && this.chosen >= 0) this.events.enter(this.chosen);
    else if (event.key === "Backspace") this.events.up();
    else if (event.key.length === 1) this.find(event.key, event.timeStamp);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The next row that begins with what has been typed. */
  private find(letter: string, time: number): void {
    this.word = (time - this.typed < TYPED ? this.word : "") + letter.toLowerCase();
    this.typed = time;
    const from = this.word.length > 1 ? Math.max(this.chosen, 0) : this.chosen + 1;
    for (let n = 0; n < this.rows.length; n++) {
      const index = (from + n) % this.rows.length;
      if (this.rows[index].name.toLowerCase().startsWith(this.word)) return this.pick(index);
    }
  }
}
