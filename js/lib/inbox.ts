// The browser's end of the frame protocol: a stale frame is never shown, every frame painted is acknowledged by the view,
// and while a run is on but silent the next frame is asked for.
import { decode, type Frame, type Header } from "./frame.js";

export class FrameInbox {
  frame: Frame | null = null;
  error = "";
  seq = -1; // of the newest frame seen, good or bad
  private listeners = new Set<() => void>();

  /** Take a frame in; false where a newer one has been seen already. */
  offer(header: Header, data: unknown): boolean {
    if (typeof header?.seq !== "number" || header.seq < this.seq) return false;
    const again = header.seq === this.seq && this.error === "" && this.frame !== null;
    this.seq = header.seq;
    if (!again) {
      try {
        this.frame = decode(header, data);
        this.error = "";
      } catch (problem) {
        this.error = problem instanceof Error ? problem.message : String(problem);
      }
    }
    for (const listener of [...this.listeners]) listener();
    return true;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

const FIRST = 400; // ms of silence before the first question
const LAST = 3000; // ms between questions once the sender has long been silent

/** Asks for frames while `live()` holds and none comes: after 400 ms, then less and less often. */
export class Puller {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wait = FIRST;

  constructor(private readonly live: () => boolean, private readonly pull: () => void) {}

  /** A frame came, or the run began or ended: begin to wait anew. */
  restart(): void {
    this.wait = FIRST;
    this.schedule();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private schedule(): void {
    this.stop();
    if (!this.live()) return;
    this.timer = setTimeout(() => {
      this.pull();
      this.wait = Math.min(this.wait * 1.5, LAST);
      this.schedule();
    }, this.wait);
  }
}
