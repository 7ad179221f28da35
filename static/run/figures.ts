// The large figures: the newest value, its history as a sparkline, the best so far.

import type { Progress } from "../api.ts";
import { number } from "../api.ts";
import { find, need, s, say } from "../dom.ts";
import { exactPercent, inPercent, value } from "../format.ts";
import { type Series, type Store, entropy, entropyShare } from "./store.ts";

type Words = (x: number) => string;
/** Every digit, for who wants them. */
const EXACT: Words = String;

export class Figures {
  private readonly rates: number[] = [];

  constructor(
    private readonly section: HTMLElement,
    private readonly store: Store,
  ) {}

  rate(progress: Progress): void {
    const rate = number(progress.images_per_s);
    if (rate > 0) this.rates.push(rate);
    if (this.rates.length > 400) this.rates.shift();
  }

  update(): void {
    const valid = this.store.at("search", "valid_accuracy");
    this.show("accuracy", valid.values, inPercent, exactPercent);
    this.note("accuracy", extreme(valid, "highest", inPercent, (a, b) => a > b));
    const loss = this.store.at("search", "weight_loss");
    this.show("loss", loss.values, value);
    this.note("loss", extreme(loss, "lowest", value, (a, b) => a < b));
    const { history } = this.store;
    this.show("entropy", history.rows.map(entropyShare), inPercent, exactPercent, [0, 1]);
    const now = history.rows[history.length - 1];
    this.note("entropy", now ? `of the largest; ${value(entropy(now))} nats` : "");
    if (this.rates.length > 0) {
      this.show("rate", this.rates, (x) => Math.round(x).toLocaleString("en"));
    }
  }

  private show(name: string, values: number[], words: Words, exact = EXACT, span?: [number, number]): void {
    const box = need(`[data-figure="${name}"]`, this.section);
    const last = values[values.length - 1];
    if (last === undefined) return;
    const output = need("[data-value]", box);
    say(output, words(last));
    output.title = exact(last);
    spark(find<SVGSVGElement>("svg", box), values, span);
  }

  private note(name: string, text: string): void {
    say(find(`[data-figure="${name}"] [data-note]`, this.section), text);
  }
}

function extreme({ values, steps }: Series, word: string, words: Words, better: (a: number, b: number) => boolean): string {
  let at = -1;
  for (const [index, one] of values.entries()) if (Number.isFinite(one) && (at < 0 || better(one, values[at] ?? NaN))) at = index;
  return at < 0 ? "" : `${word} ${words(values[at] ?? NaN)} at step ${(steps[at] ?? 0).toLocaleString("en")}`;
}

/** At most 60 points into a box of 100 × 24, between what occurs or between given bounds. */
function spark(svg: SVGSVGElement | null, values: number[], bounds?: [number, number]): void {
  const finite = values.filter(Number.isFinite);
  if (!svg || finite.length < 2) return;
  const stride = Math.max(1, Math.ceil(finite.length / 60));
  const few = finite.filter((_, index) => index % stride === 0 || index === finite.length - 1);
  const [low, high] = bounds ?? [Math.min(...few), Math.max(...few)];
  const span = high - low || 1;
  const points = few.map((one, index) => `${((100 * index) / (few.length - 1)).toFixed(1)},${(22 - (20 * (one - low)) / span).toFixed(1)}`);
  const line = svg.querySelector("polyline") ?? svg.appendChild(s("polyline"));
  line.setAttribute("points", points.join(" "));
}
