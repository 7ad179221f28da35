// The log: tail of the chosen attempt, search, follow.

import { type RunEvent, send } from "../api.ts";
import { h, need, perFrame, settled } from "../dom.ts";

interface Logs {
  attempts: number[];
  attempt: number;
  lines: string[];
}

/** Lines kept in the page; the whole log can be downloaded. */
const KEPT = 2_000;

export class LogView {
  private lines: string[] = [];
  private attempt = 0;
  private readonly view: HTMLElement;
  private readonly select: HTMLSelectElement;
  private readonly search: HTMLInputElement;
  private readonly follow: HTMLInputElement;
  private readonly paint = perFrame(() => this.draw());

  constructor(
    section: HTMLElement,
    private readonly run: string,
  ) {
    this.view = need("[data-log]", section);
    this.select = need("[data-log-attempt]", section);
    this.search = need("[data-log-search]", section);
    this.follow = need("[data-log-follow]", section);
    this.select.addEventListener("change", () => void this.load(Number(this.select.value)));
    this.search.addEventListener("input", settled(80, this.paint));
    this.follow.addEventListener("change", this.paint);
    this.view.addEventListener("wheel", () => requestAnimationFrame(() => this.scrolled()), { passive: true });
  }

  /** Scrolling up lets go of the end; scrolling back down takes hold of it again. */
  private scrolled(): void {
    this.follow.checked = this.view.scrollTop + this.view.clientHeight > this.view.scrollHeight - 8;
  }

  async load(attempt?: number): Promise<void> {
    const query = attempt ? `attempt=${attempt}&tail=500` : "tail=500";
    const logs = await send<Logs>("GET", `runs/${this.run}/logs?${query}`);
    this.lines = logs.lines;
    this.attempt = logs.attempt;
    this.select.hidden = logs.attempts.length < 2;
    this.select.replaceChildren(...logs.attempts.map((one) => h("option", { value: one, selected: one === logs.attempt }, `attempt ${one}`)));
    this.paint();
  }

  add(event: RunEvent<{ level?: string; code?: string; message: string }>): void {
    if (event.attempt < this.attempt) return;
    const level = event.kind === "warning" ? "warning" : (event.payload.level ?? "info");
    const line = `${event.at.slice(11, 19)} ${level} ${event.payload.message}`;
    if (this.lines.slice(-100).includes(line)) return;
    this.lines.push(line);
    if (this.lines.length > KEPT) this.lines.splice(0, this.lines.length - KEPT);
    this.paint();
  }

  private draw(): void {
    const needle = this.search.value.trim().toLowerCase();
    const lines = needle ? this.lines.filter((line) => line.toLowerCase().includes(needle)) : this.lines;
    const top = this.view.scrollTop;
    if (lines.length === 0) {
      const text = needle ? `No line contains “${this.search.value.trim()}”.` : "No lines yet. What the worker says appears here.";
      this.view.replaceChildren(h("p", { class: "muted" }, text));
      return;
    }
    this.view.replaceChildren(...lines.map((line) => h("div", { class: `line ${tone(line)}` }, ...marked(line, needle))));
    this.view.scrollTop = this.follow.checked ? this.view.scrollHeight : top;
  }
}

function tone(line: string): string {
  const level = line.split(" ", 2)[1] ?? "";
  if (/^warn/i.test(level)) return "warn";
  return /^(error|fatal)/i.test(level) || line.includes("panicked") ? "error" : "";
}

function marked(line: string, needle: string): (Node | string)[] {
  const at = needle ? line.toLowerCase().indexOf(needle) : -1;
  if (at < 0) return [line];
  return [line.slice(0, at), h("mark", {}, line.slice(at, at + needle.length)), line.slice(at + needle.length)];
}
