// What is known of a run: curves and rows, from the first request and then from the stream.

import { type Num, type RowsData, type SeriesData, number } from "../api.ts";

/** One curve. A later attempt supersedes the points of earlier ones from its first step on. */
export class Series {
  readonly steps: number[] = [];
  readonly values: number[] = [];
  readonly attempts: number[] = [];
  readonly superseded: [step: number, value: number][] = [];

  constructor(
    readonly phase: string,
    readonly name: string,
  ) {}

  add(step: number, value: number, attempt: number): void {
    const last = this.steps.length - 1;
    const lastStep = this.steps[last];
    if (lastStep === undefined || step > lastStep) {
      this.insert(this.steps.length, step, value, attempt);
      return;
    }
    const at = lower(this.steps, step);
    if (attempt > (this.attempts[last] ?? 0)) {
      for (let i = at; i <= last; i++) this.superseded.push([this.steps[i] ?? 0, this.values[i] ?? NaN]);
      this.cut(at);
      this.insert(at, step, value, attempt);
    } else if (this.steps[at] === step) {
      if (attempt >= (this.attempts[at] ?? 0)) this.values[at] = value;
    } else {
      this.steps.splice(at, 0, step);
      this.values.splice(at, 0, value);
      this.attempts.splice(at, 0, attempt);
    }
  }

  private insert(at: number, step: number, value: number, attempt: number): void {
    this.steps[at] = step;
    this.values[at] = value;
    this.attempts[at] = attempt;
  }

  private cut(length: number): void {
    this.steps.length = length;
    this.values.length = length;
    this.attempts.length = length;
  }

  get last(): number {
    return this.values[this.values.length - 1] ?? NaN;
  }
}

/** Index of the first entry that is not below `value`. */
export function lower(sorted: number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The rows after each recorded step, as probabilities. */
export class RowHistory {
  readonly steps: number[] = [];
  readonly epochs: number[] = [];
  readonly rows: number[][][] = [];

  load(data: RowsData): void {
    for (const [index, step] of data.steps.entries()) this.add(step, data.epochs[index] ?? 0, data.rows[index] ?? []);
  }

  add(step: number, epoch: number, rows: Num[][]): void {
    const at = lower(this.steps, step);
    const values = rows.map((row) => row.map(number));
    const replace = this.steps[at] === step ? 1 : 0;
    this.steps.splice(at, replace, step);
    this.epochs.splice(at, replace, epoch);
    this.rows.splice(at, replace, values);
  }

  get length(): number {
    return this.steps.length;
  }

  /** The option that would be picked for each choice. */
  picked(index: number): number[] {
    return (this.rows[index] ?? []).map(best);
  }

  /** How often the best option of a choice changed up to `index`. */
  flips(choice: number, index: number): number {
    let flips = 0;
    let before = -1;
    for (let i = 0; i <= index; i++) {
      const now = best(this.rows[i]?.[choice] ?? []);
      if (before >= 0 && now !== before) flips++;
      before = now;
    }
    return flips;
  }
}

/** The first of the largest entries. */
export function best(row: number[]): number {
  let at = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] ?? 0) > (row[at] ?? 0)) at = i;
  return at;
}

/** Mean entropy of the rows, in nats. */
export function entropy(rows: number[][]): number {
  const each = rows.map((row) => row.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0));
  return each.length === 0 ? NaN : each.reduce((a, b) => a + b, 0) / each.length;
}

/** Mean entropy of the rows as a share of the largest possible; rows of one option decide nothing. */
export function entropyShare(rows: number[][]): number {
  const shares = rows.filter((row) => row.length > 1).map((row) => entropy([row]) / Math.log(row.length));
  return shares.length === 0 ? NaN : shares.reduce((a, b) => a + b, 0) / shares.length;
}

export class Store {
  private readonly series = new Map<string, Series>();
  readonly history = new RowHistory();

  load(data: SeriesData[]): void {
    for (const { phase, name, points, superseded } of data) {
      const series = this.at(phase, name);
      for (const [step, value, attempt] of points) series.add(step, number(value), attempt);
      for (const [step, value] of superseded) series.superseded.push([step, number(value)]);
    }
  }

  at(phase: string, name: string): Series {
    const key = `${phase}.${name}`;
    let series = this.series.get(key);
    if (!series) this.series.set(key, (series = new Series(phase, name)));
    return series;
  }

  find(phase: string, pattern: RegExp): Series[] {
    return [...this.series.values()].filter((series) => series.phase === phase && pattern.test(series.name));
  }
}
