// What a page hears of its run: through the worker that all pages share or, where a browser has none,
// through a stream of its own while somebody looks.

import { prefix } from "../dom.ts";
import { Hub, type Said, type Told, type Wish } from "./hub.ts";

/** So often a page says that it is still there, in ms. */
const HERE = 30_000;

interface Source {
  listen(wish: Wish): void;
  here(): void;
  leave(): void;
}

/** Listens to one run, from a position on, until it is told to stop. */
export class Listening {
  private source: Source;
  private position = 0;
  private on = false;

  /** `worker` is the address of the shared worker's script. */
  constructor(
    private readonly run: string,
    worker: string,
    private readonly tell: (told: Told) => void,
  ) {
    this.source = this.shared(worker) ?? this.own();
    document.addEventListener("visibilitychange", () => this.wish());
    addEventListener("pagehide", () => this.on && this.source.leave());
    addEventListener("pageshow", ({ persisted }) => persisted && this.wish());
    setInterval(() => this.on && this.source.here(), HERE);
  }

  /** Begins after an event; the server knows where that is. */
  begin(position: number): void {
    this.on = true;
    this.position = Math.max(this.position, position);
    this.wish();
  }

  end(): void {
    if (this.on) this.source.leave();
    this.on = false;
  }

  get isOn(): boolean {
    return this.on;
  }

  private wish(): void {
    if (this.on) this.source.listen({ run: this.run, position: this.position, seen: !document.hidden });
  }

  private heard(told: Told): void {
    if (!this.on) return;
    if (told.kind === "event" && document.hidden) {
      // What a hidden page misses comes when it is shown, and must not come twice then.
      if (told.event.kind !== "progress") return;
    } else if (told.kind === "event") {
      if (told.id <= this.position) return;
      this.position = told.id;
    }
    this.tell(told);
  }

  private shared(address: string): Source | null {
    if (typeof SharedWorker === "undefined") return null;
    try {
      const worker = new SharedWorker(address, { name: "events" });
      const say = (said: Said): void => worker.port.postMessage(said);
      worker.port.onmessage = ({ data }: MessageEvent<Told>) => this.heard(data);
      worker.addEventListener("error", () => {
        this.source = this.own();
        this.wish();
      });
      return { listen: (wish) => say({ say: "listen", wish }), here: () => say({ say: "here" }), leave: () => say({ say: "leave" }) };
    } catch {
      // Some browsers forbid workers, for example in private windows.
      return null;
    }
  }

  private own(): Source {
    const hub = new Hub<Listening>(prefix);
    return {
      listen: (wish) => (wish.seen ? hub.listen(this, wish, (told) => this.heard(told)) : hub.leave(this)),
      here: () => undefined,
      leave: () => hub.leave(this),
    };
  }
}
