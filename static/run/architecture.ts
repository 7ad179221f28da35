// The architecture that would be derived at the slider's step.

import { type ArchitectureNow, type ChoiceInfo, api } from "../api.ts";
import { copy, find, h, need, paced, say } from "../dom.ts";
import { draw } from "../drawing.ts";
import { milliseconds, short } from "../format.ts";
import type { RowHistory } from "./store.ts";

/** Drawings kept; a drag over the slider asks for many. */
const KEPT = 200;
/** A page asks for a drawing once in so many ms at most. */
const PACE = 500;

export class ArchitectureView {
  private choices: ChoiceInfo[] = [];
  private past: ArchitectureNow[] = [];
  private index = -1;
  private drawn = -1;
  private readonly kept = new Map<number, string>();
  /** A search may tell of an architecture at every step, and many pages may be open: drawings must not take the server. */
  private readonly later = paced(PACE, () => this.fetch());

  constructor(
    private readonly section: HTMLElement,
    private readonly run: string,
    private readonly history: RowHistory,
    private readonly preset: string,
  ) {
    const button = need("[data-arch-copy]", section);
    button.addEventListener("click", () => void copy(need("[data-arch-text]", section).textContent ?? "", button));
  }

  know(choices: ChoiceInfo[], past: ArchitectureNow[]): void {
    this.choices = choices;
    this.past = [...past].sort((a, b) => a.step - b.step);
  }

  add(now: ArchitectureNow): void {
    this.past = this.past.filter((known) => known.step < now.step);
    this.past.push(now);
    if (this.index < 0) return;
    this.tell();
    this.later();
  }

  show(index: number): void {
    this.index = index;
    this.tell();
    this.later();
  }

  private get step(): number {
    return this.reach(this.index);
  }

  /** Until which step an architecture belongs to some rows; those compared after the search belong to the last. */
  private reach(index: number): number {
    const step = this.history.steps[index] ?? 0;
    return index === this.history.length - 1 ? Math.max(step, this.past.at(-1)?.step ?? 0) : step;
  }

  /** Options picked at the end of the epoch before the shown one. */
  private before(): number[] {
    const epoch = this.history.epochs[this.index] ?? 0;
    for (let i = this.index - 1; i >= 0; i--) if ((this.history.epochs[i] ?? 0) < epoch) return this.picked(i);
    return [];
  }

  /** What the worker said it would derive; before it has said anything, what the rows lean to. */
  private picked(index: number): number[] {
    const step = this.reach(index);
    return this.past.findLast((one) => one.step <= step)?.choices ?? this.history.picked(index);
  }

  private changes(): number[] {
    const before = this.before();
    const now = this.picked(this.index);
    return now.flatMap((option, choice) => (before.length > 0 && before[choice] !== option ? [choice] : []));
  }

  private tell(): void {
    const picked = this.picked(this.index);
    const epoch = (this.history.epochs[this.index] ?? 0) + 1;
    say(find("[data-arch-at]", this.section), `as of step ${(this.history.steps[this.index] ?? 0).toLocaleString("en")}, epoch ${epoch}`);
    say(find("[data-arch-text]", this.section), this.text(picked));
    const known = this.past.findLast((one) => one.step <= this.step && same(one.choices, picked)) ?? this.past.find((one) => same(one.choices, picked));
    say(find("[data-arch-params]", this.section), known ? short(known.cost.params) : "–");
    say(find("[data-arch-macs]", this.section), known ? short(known.cost.macs) : "–");
    const latency = known?.cost.latency_ns;
    need("[data-arch-latency-fact]", this.section).hidden = latency === undefined;
    if (latency !== undefined) say(find("[data-arch-latency]", this.section), milliseconds(latency));
    const before = this.before();
    const changes = this.changes().map((choice) => {
      const info = this.choices[choice];
      return `${info?.tensor} ${info?.label}: ${info?.options[before[choice] ?? 0]} → ${info?.options[picked[choice] ?? 0]}`;
    });
    const first = before.length === 0 ? "first epoch" : "nothing";
    say(find("[data-arch-changes]", this.section), changes.length > 0 ? changes.join(", ") : first);
  }

  private text(picked: number[]): string {
    let text = this.preset;
    let tensor = "";
    for (const [index, choice] of this.choices.entries()) {
      text += tensor === choice.tensor ? "," : `|${choice.tensor}=`;
      tensor = choice.tensor;
      text += choice.options[picked[index] ?? 0] ?? "?";
    }
    return text;
  }

  private async fetch(): Promise<void> {
    const step = this.step;
    let text = this.kept.get(step);
    if (text === undefined) {
      try {
        const answer = await fetch(api(`runs/${this.run}/architecture.svg?step=${step}`), { credentials: "same-origin" });
        if (!answer.ok) return;
        text = await answer.text();
      } catch {
        return;
      }
      if (this.kept.size >= KEPT) this.kept.delete(this.kept.keys().next().value ?? -1);
      this.kept.set(step, text);
    }
    // The slider may have moved on meanwhile.
    if (step !== this.step || step === this.drawn) return;
    const changes = this.changes();
    const box = need("[data-arch-drawing]", this.section);
    const shown = draw(box, text, (labels) => {
      if (labels.length !== this.choices.length) return;
      for (const choice of changes) labels[choice]?.classList.add("was-changed");
    });
    if (!shown) box.replaceChildren(h("p", { class: "muted" }, "The drawing could not be read."));
    box.setAttribute("data-step", String(step));
    this.drawn = step;
  }
}

function same(a: number[], b: number[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
