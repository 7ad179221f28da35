// One stream of events for all who listen, whatever their runs: a browser keeps only six connections to
// a server that speaks HTTP/1.1, and every open stream holds one of them.

import type { RunEvent, RunView } from "../api.ts";

/** What a listener is told. */
export type Told =
  | { kind: "event"; id: number; event: RunEvent<unknown> }
  | { kind: "status"; view: RunView }
  /** There is no such run, or no longer. */
  | { kind: "gone" }
  /** The stream was opened, or cut; it is opened again by itself. */
  | { kind: "open" }
  | { kind: "cut" };

/** What a page wants to hear. */
export interface Wish {
  run: string;
  /** The last event that it has. */
  position: number;
  /** Whether somebody looks at it. A hidden page hears of its run's state, and of the progress now and then. */
  seen: boolean;
}

/** What a page says to the worker: what it wants to hear, that it is still there, or that it leaves. */
export type Said = { say: "listen"; wish: Wish } | { say: "here" } | { say: "leave" };

interface Listener extends Wish {
  tell: (told: Told) => void;
  /** When a hidden page was last told of the progress. */
  progressAt: number;
}

/** Every name of a message that carries an event. */
const EVENTS = ["started", "phase", "progress", "metrics", "rows", "architecture", "front", "finalists", "checkpoint", "warning", "log", "finished", "failed"];
/** A stream that was cut is opened again after so many ms. */
const AGAIN = 2_000;
/** A hidden page, whose title shows it, is told of the progress so often, in ms. */
const HIDDEN_PROGRESS = 5_000;

/** Who listens, and the stream that serves them. */
export class Hub<Key> {
  private readonly listeners = new Map<Key, Listener>();
  private source: EventSource | null = null;
  /** Of every run of the stream, the last event that it told. */
  private readonly told = new Map<string, number>();
  private waiting: ReturnType<typeof setTimeout> | 0 = 0;

  /** `base` is what all addresses of the server begin with. */
  constructor(private readonly base: string) {}

  listen(key: Key, wish: Wish, tell: (told: Told) => void): void {
    this.listeners.set(key, { ...wish, tell, progressAt: 0 });
    if (!this.serves()) this.soon(30);
    else if (this.source?.readyState === EventSource.OPEN) tell({ kind: "open" });
  }

  leave(key: Key): void {
    if (this.listeners.delete(key) && !this.serves()) this.soon(30);
  }

  /** Whether the stream holds exactly the wanted runs, and nobody needs what it has told already. */
  private serves(): boolean {
    const wanted = [...this.listeners.values()];
    const runs = new Set(wanted.map(({ run }) => run));
    const lacks = ({ run, position, seen }: Listener): boolean => seen && position < (this.told.get(run) ?? Infinity);
    return runs.size === this.told.size && [...runs].every((run) => this.told.has(run)) && !wanted.some(lacks);
  }

  /** Opens the stream anew in a moment, in which others may come or go. */
  private soon(ms: number): void {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.open(), ms);
  }

  private open(): void {
    clearTimeout(this.waiting);
    this.source?.close();
    this.source = null;
    const places = this.places();
    this.told.clear();
    if (places.size === 0) return;
    for (const [run, position] of places) this.told.set(run, position);
    const runs = [...places].map(([run, position]) => `${run}:${position}`).join(",");
    const source = new EventSource(`${this.base}/api/v1/events?runs=${runs}`);
    this.source = source;
    source.addEventListener("open", () => this.all({ kind: "open" }));
    source.addEventListener("error", () => this.cut(source));
    for (const name of EVENTS) {
      source.addEventListener(name, ({ data, lastEventId }) => {
        const event = JSON.parse(String(data)) as RunEvent<unknown> & { run: string };
        this.event(event.run, Number(lastEventId), event);
      });
    }
    source.addEventListener("status", ({ data }) => {
      const view = JSON.parse(String(data)) as RunView;
      this.of(view.id).forEach(({ tell }) => tell({ kind: "status", view }));
    });
    source.addEventListener("gone", ({ data }) => {
      const { run } = JSON.parse(String(data)) as { run: string };
      this.of(run).forEach(({ tell }) => tell({ kind: "gone" }));
    });
  }

  /** Where each run's events must begin for those who look; for runs that nobody looks at, where they are. */
  private places(): Map<string, number> {
    const places = new Map<string, number>();
    for (const { run, position, seen } of this.listeners.values()) {
      const place = seen ? position : Math.max(position, this.told.get(run) ?? 0);
      places.set(run, Math.min(place, places.get(run) ?? Infinity));
    }
    return places;
  }

  private event(run: string, id: number, event: RunEvent<unknown>): void {
    this.told.set(run, Math.max(id, this.told.get(run) ?? 0));
    for (const listener of this.of(run)) {
      if (listener.seen ? id <= listener.position : !this.glimpse(listener, event)) continue;
      if (listener.seen) listener.position = id;
      listener.tell({ kind: "event", id, event });
    }
  }

  /** Whether a hidden page is told of this event. */
  private glimpse(listener: Listener, event: RunEvent<unknown>): boolean {
    if (event.kind !== "progress" || Date.now() - listener.progressAt < HIDDEN_PROGRESS) return false;
    listener.progressAt = Date.now();
    return true;
  }

  private cut(source: EventSource): void {
    if (this.source !== source) return;
    source.close();
    this.source = null;
    this.all({ kind: "cut" });
    this.soon(AGAIN);
  }

  private of(run: string): Listener[] {
    return [...this.listeners.values()].filter((listener) => listener.run === run);
  }

  private all(told: Told): void {
    for (const { tell } of this.listeners.values()) tell(told);
  }
}
