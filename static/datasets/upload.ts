// An upload: parts of a file, each sent until it has arrived.

import { type IncomingView, Problem, put, send } from "../api.ts";

/** What is sent. */
export interface Source {
  name: string;
  blob: Blob;
}

/** What a person chose. */
export interface Options {
  size: number | null;
  share: number | null;
}

/** What an upload says of itself. */
export interface Listener {
  moved(sent: number, total: number, rate: number): void;
  waits(reason: string): void;
}

interface Dataset {
  id: string;
  title: string;
  incoming: IncomingView | null;
}

const SMALLEST = 1 << 20;
const LARGEST = 16 << 20;
/** Seconds that a part should take: often enough for progress, seldom enough for speed. */
const PART_SECONDS = 1.5;
/** Waits between attempts without a connection, in milliseconds; the last one repeats. */
const WAITS = [500, 1_000, 2_000, 5_000, 10_000];

export class Upload {
  private readonly stop = new AbortController();
  private id = "";

  constructor(
    private readonly source: Source,
    private readonly listener: Listener,
  ) {}

  /** Sends everything; gives the id of the data set, or nothing if it was cancelled. */
  async run(options: Options): Promise<string | null> {
    try {
      const begun = await this.begin(options);
      this.id = begun.id;
      await this.parts(begun.received);
      await this.patiently(() => send("POST", `datasets/${this.id}/commit`, {}, this.stop.signal));
      return this.id;
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return null;
      throw error;
    }
  }

  /** Ends it, here and on the server. */
  async cancel(): Promise<void> {
    this.stop.abort();
    if (this.id) await send("DELETE", `datasets/${this.id}/incoming`).catch(() => undefined);
  }

  /** A new upload, or the rest of one that was broken off. */
  private async begin(options: Options): Promise<{ id: string; received: number }> {
    const known = await send<Dataset[]>("GET", "datasets", undefined, this.stop.signal);
    const broken = known.map((set) => set.incoming).find((incoming) => this.fits(incoming));
    if (broken) return broken;
    const asked = {
      file_name: this.source.name,
      bytes: this.source.blob.size,
      ...(options.size === null ? {} : { size: options.size }),
      ...(options.share === null ? {} : { test_share: options.share }),
    };
    const begun = await send<Dataset>("POST", "datasets", asked, this.stop.signal);
    return { id: begun.id, received: 0 };
  }

  private fits(incoming: IncomingView | null): incoming is IncomingView {
    const { name, blob } = this.source;
    return incoming?.state === "receiving" && incoming.file_name === name && incoming.bytes === blob.size;
  }

  private async parts(from: number): Promise<void> {
    const { blob } = this.source;
    const began = performance.now();
    let [at, length] = [from, SMALLEST];
    while (at < blob.size) {
      const part = blob.slice(at, at + length);
      const start = performance.now();
      at = await this.part(at, part);
      const now = performance.now();
      const took = Math.max(1, now - start) / 1000;
      length = Math.min(LARGEST, Math.max(SMALLEST, Math.round((part.size / took) * PART_SECONDS)));
      this.listener.moved(at, blob.size, ((at - from) / Math.max(1, now - began)) * 1000);
    }
  }

  /** Sends a part; gives where the next one begins. */
  private async part(at: number, part: Blob): Promise<number> {
    const bytes = await part.arrayBuffer();
    const headers = await digest(bytes);
    const path = `datasets/${this.id}/parts?offset=${at}`;
    return this.patiently(async () => {
      try {
        return (await put<IncomingView>(path, new Blob([bytes]), headers, this.stop.signal)).received;
      } catch (error) {
        if (!(error instanceof Problem) || error.status !== 409) throw error;
        // The answer to an earlier attempt may have been lost.
        const now = await send<Dataset>("GET", `datasets/${this.id}`, undefined, this.stop.signal);
        const there = now.incoming?.received;
        if (there === at + bytes.byteLength) return there;
        throw error;
      }
    });
  }

  /** Tries again for as long as the server is not heard. */
  private async patiently<T>(task: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await task();
      } catch (error) {
        const lost = error instanceof Problem && (error.status === 0 || [502, 503, 504].includes(error.status));
        if (!lost) throw error;
        this.listener.waits(error.message);
        await pause(WAITS[Math.min(tries, WAITS.length - 1)] ?? 0, this.stop.signal);
      }
    }
  }
}

/** A digest that lets the server refuse a damaged part, where the browser can make one: not on plain HTTP. */
async function digest(bytes: ArrayBuffer): Promise<Record<string, string>> {
  if (!globalThis.crypto?.subtle) return {};
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { "content-digest": `sha-256=:${btoa(String.fromCharCode(...hash))}:` };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      fail(new DOMException("cancelled", "AbortError"));
    });
  });
}
