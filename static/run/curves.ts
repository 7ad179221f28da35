// The section of curves: which chart shows what, and the tools they share.

import { all, find, need, settled } from "../dom.ts";
import { Chart, type Look, type Scale } from "./chart.ts";
import { onTheme } from "./colour.ts";
import { Series, type Store, entropyShare } from "./store.ts";

const PATTERNS: Record<string, RegExp> = {
  loss: /(^|_)loss$/,
  accuracy: /^(?!true_)(.*_)?accuracy$/,
  truth: /^true_accuracy$/,
  rank: /^true_rank$/,
  perplexity: /(^|_)perplexity$/,
  rate: /(^|_)lr$|learning_rate|^tau$|temperature/,
  load: /^(cpu_busy|gpu_busy|input_wait)$/,
  memory: /^(gpu_)?memory_mb$/,
};

/** What is a share is shown in per cent; entropy from nothing to the largest, so that noise does not fill the chart. */
const SCALES: Record<string, Scale> = { accuracy: "percent", truth: "percent", load: "percent", entropy: "whole" };

interface Place {
  box: HTMLElement;
  phase: string;
  pattern: RegExp;
  chart: Chart;
  log: boolean;
}

export class Curves {
  private readonly look: Look = { log: false, smoothing: 0 };
  private readonly places: Place[];
  private readonly entropy = new Entropy();

  constructor(
    section: HTMLElement,
    private readonly store: Store,
  ) {
    this.places = all("[data-chart]", section).map((box) => this.place(box));
    const smoothing = need<HTMLInputElement>("[data-smoothing]", section);
    const redraw = settled(20, () => this.update());
    smoothing.addEventListener("input", () => {
      this.look.smoothing = Number(smoothing.value);
      redraw();
    });
    const log = need<HTMLInputElement>("[data-log-scale]", section);
    log.addEventListener("change", () => {
      this.look.log = log.checked;
      this.update();
    });
    need("[data-zoom-reset]", section).addEventListener("click", () => {
      for (const { chart } of this.places) chart.reset();
    });
    onTheme(() => {
      for (const { chart } of this.places) chart.redraw();
    });
  }

  private place(box: HTMLElement): Place {
    const phase = box.dataset["phase"] ?? "search";
    const kind = box.dataset["chart"] ?? "loss";
    const zoom = (min: number, max: number): void => {
      for (const other of this.places) if (other.phase === phase) other.chart.zoom(min, max);
    };
    return { box, phase, pattern: PATTERNS[kind] ?? /^$/, chart: new Chart(box, phase, zoom, SCALES[kind] ?? "plain"), log: kind === "loss" || kind === "rate" || kind === "rank" || kind === "perplexity" };
  }

  update(): void {
    for (const { box, phase, pattern, chart, log } of this.places) {
      const series = box.dataset["chart"] === "entropy" ? [this.entropy.update(this.store)] : this.store.find(phase, pattern);
      if (box.dataset["optional"] !== undefined) box.hidden = series.every((one) => one.steps.length === 0);
      if (!box.hidden) chart.update(series.sort(order), { ...this.look, log: this.look.log && log });
    }
    const scratch = find("[data-scratch]");
    if (scratch) scratch.hidden = !this.places.some(({ box }) => scratch.contains(box) && !box.hidden);
  }
}

const ORDER = ["loss", "accuracy", "weight_", "train_", "arch_", "valid_", "test_", "cpu_", "memory_", "gpu_"];
function order(a: Series, b: Series): number {
  const rank = ({ name }: Series): number => ORDER.findIndex((start) => name.startsWith(start)) >>> 0;
  return rank(a) - rank(b) || a.name.localeCompare(b.name);
}

/** The rows' entropy as a share of the largest, from the rows themselves: the metric is in nats. */
class Entropy {
  /** One for the page's whole life: its chart keeps what it was given first. */
  private readonly series = new Series("search", "entropy");
  private readonly known = new Map<number, number[][]>();

  update({ history }: Store): Series {
    for (const [index, step] of history.steps.entries()) {
      const rows = history.rows[index] ?? [];
      if (this.known.get(step) === rows) continue;
      this.known.set(step, rows);
      this.series.add(step, entropyShare(rows), 1);
    }
    return this.series;
  }
}
