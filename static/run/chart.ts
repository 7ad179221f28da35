// One chart: uPlot with our legend, gaps where a value is not finite, grey superseded points.

import uPlot from "uplot";

import { h, need, s, say } from "../dom.ts";
import { exactPercent, inPercent, short, value as plain, words } from "../format.ts";
import { seriesToken, token } from "./colour.ts";
import type { Series } from "./store.ts";

export interface Look {
  log: boolean;
  smoothing: number;
}

/** How values are written: as they are, in per cent, or in per cent on an axis from 0 to 100. */
export type Scale = "plain" | "percent" | "whole";

interface Curve {
  series: Series;
  visible: boolean;
  output: HTMLOutputElement;
}

type Column = (number | null | undefined)[];
/** Lines of uPlot for each curve: superseded, as measured, smoothed. */
const LINES = 3;

export class Chart {
  private plot: uPlot | null = null;
  private curves: Curve[] = [];
  private steps: number[] = [];
  private look: Look = { log: false, smoothing: 0 };
  private readonly area: HTMLElement;
  private readonly legend: HTMLElement;
  private readonly at = h("span", { class: "at" });

  constructor(
    private readonly box: HTMLElement,
    private readonly sync: string,
    private readonly onZoom: (min: number, max: number) => void,
    private readonly scale: Scale,
  ) {
    this.area = need(".plot", box);
    this.legend = need(".legend", box);
    need("h3", box).append(this.at);
    new ResizeObserver(() => this.resize()).observe(this.area);
  }

  update(series: Series[], look: Look): void {
    const usable = series.filter((one) => one.steps.length > 0);
    const waits = need(".waits", this.box);
    waits.hidden = usable.length > 0;
    if (usable.length === 0) return;
    const rebuild = look.log !== this.look.log || !this.plot || usable.length !== this.curves.length;
    this.look = { ...look };
    if (rebuild) this.build(usable);
    const zoomed = this.zoomed;
    this.plot?.setData(this.data() as uPlot.AlignedData, !zoomed);
    if (zoomed) this.plot?.redraw();
    this.tell(null);
  }

  redraw(): void {
    this.plot?.redraw(false, true);
    for (const line of this.legend.querySelectorAll<SVGLineElement>("line[data-token]")) line.setAttribute("stroke", token(line.dataset["token"] ?? ""));
  }

  zoom(min: number, max: number): void {
    const x = this.plot?.scales["x"];
    if (x && (x.min !== min || x.max !== max)) this.plot?.setScale("x", { min, max });
  }

  reset(): void {
    this.plot?.setData(this.plot.data, true);
  }

  private get zoomed(): boolean {
    const x = this.plot?.scales["x"];
    const first = this.steps[0];
    const last = this.steps[this.steps.length - 1];
    // uPlot sets a scale a moment after it was asked to; until then it has no bounds.
    return typeof x?.min === "number" && typeof x.max === "number" && first !== undefined && last !== undefined && (x.min > first || x.max < last);
  }

  private build(series: Series[]): void {
    this.plot?.destroy();
    const hidden = new Set(this.curves.filter((curve) => !curve.visible).map((curve) => curve.series.name));
    this.curves = series.map((one) => ({ series: one, visible: !hidden.has(one.name), output: h("output", {}) }));
    this.legend.replaceChildren(...this.curves.map((curve) => this.entry(curve)));
    this.plot = new uPlot(this.options(), this.data() as uPlot.AlignedData, this.area);
  }

  private entry(curve: Curve): HTMLElement {
    const name = seriesToken(curve.series.name);
    const line = s("line", { x1: 0, x2: 16, y1: 4, y2: 4, stroke: token(name), "data-token": name });
    const button = h("button", { type: "button", "aria-pressed": String(curve.visible) }, s("svg", { "aria-hidden": "true" }, line), title(curve.series), curve.output);
    button.addEventListener("click", () => {
      curve.visible = !curve.visible;
      button.setAttribute("aria-pressed", String(curve.visible));
      const index = this.curves.indexOf(curve);
      for (let i = 1; i <= LINES; i++) this.plot?.setSeries(index * LINES + i, { show: curve.visible });
    });
    return button;
  }

  private data(): Column[] {
    const all = new Set<number>();
    for (const { series } of this.curves) {
      for (const step of series.steps) all.add(step);
      for (const [step] of series.superseded) all.add(step);
    }
    this.steps = [...all].sort((a, b) => a - b);
    const place = new Map(this.steps.map((step, index) => [step, index]));
    const column = (): Column => new Array<undefined>(this.steps.length).fill(undefined);
    const columns: Column[] = [this.steps];
    for (const { series } of this.curves) {
      const [old, raw, smooth] = [column(), column(), column()];
      for (const [step, value] of series.superseded) old[place.get(step) ?? 0] = this.fit(value);
      const smoothed = ema(series.values, this.look.smoothing);
      for (const [index, step] of series.steps.entries()) {
        raw[place.get(step) ?? 0] = this.fit(series.values[index] ?? NaN);
        smooth[place.get(step) ?? 0] = this.fit(smoothed[index] ?? NaN);
      }
      columns.push(old, raw, smooth);
    }
    return columns;
  }

  /** What can be drawn; `null` makes a gap. */
  private fit(value: number): number | null {
    return Number.isFinite(value) && (!this.look.log || value > 0) ? value : null;
  }

  private options(): uPlot.Options {
    const axis = { stroke: () => token("--muted"), font: "12px system-ui, sans-serif", grid: { stroke: () => token("--line"), width: 1 }, ticks: { show: false }, border: { show: false } };
    return {
      width: this.area.clientWidth,
      height: this.area.clientHeight,
      legend: { show: false },
      cursor: { sync: { key: this.sync, setSeries: false }, drag: { x: true, y: false }, points: { size: 7 } },
      padding: [8, 12, 0, 0],
      scales: { x: { time: false }, y: { distr: this.look.log ? 3 : 1, ...(this.scale === "whole" ? { range: [0, 1] as [number, number] } : {}) } },
      axes: [
        { ...axis, size: 26, gap: 4, space: 64, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? short(tick) : "")) },
        { ...axis, size: (_, labels) => Math.max(40, 14 + 7 * Math.max(0, ...(labels ?? []).map((label) => label.length))), gap: 6, space: 32, values: (_, ticks, __, ___, apart) => ticks.map((tick) => (tick === null ? "" : number(this.factor * tick, this.factor * apart))) },
      ],
      series: [{}, ...this.curves.flatMap((curve) => this.lines(curve))],
      hooks: {
        setCursor: [(plot) => this.tell(plot.cursor.idx ?? null)],
        draw: [(plot) => this.marks(plot)],
        setSelect: [(plot) => this.selected(plot)],
      },
    };
  }

  private get factor(): number {
    return this.scale === "plain" ? 1 : 100;
  }

  private lines({ series, visible }: Curve): uPlot.Series[] {
    const colour = seriesToken(series.name);
    const smooth = (): boolean => this.look.smoothing > 0;
    const points = { show: (_: uPlot, __: number, first: number, last: number) => last - first < 24, size: 5 };
    return [
      { show: visible, stroke: () => token("--superseded"), width: 1, dash: [3, 3], points: { show: false } },
      { show: visible, stroke: () => (smooth() ? faint(token(colour)) : token(colour)), width: 1.75, points },
      { show: visible, stroke: () => (smooth() ? token(colour) : "transparent"), width: 1.75, points: { show: false } },
    ];
  }

  private selected(plot: uPlot): void {
    if (plot.select.width < 8) return;
    this.onZoom(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
  }

  /** Crosses where a value was not finite, dashed lines where an attempt began. */
  private marks(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    const begins = new Map<number, number>();
    ctx.save();
    ctx.lineWidth = 1.5 * ratio;
    ctx.strokeStyle = token("--bad");
    for (const { series, visible } of this.curves) {
      for (const [index, step] of series.steps.entries()) {
        const attempt = series.attempts[index] ?? 0;
        if (index > 0 && attempt !== series.attempts[index - 1]) begins.set(attempt, Math.min(step, begins.get(attempt) ?? step));
        if (!visible || Number.isFinite(series.values[index] ?? NaN)) continue;
        const x = plot.valToPos(step, "x", true);
        const y = bbox.top + 7 * ratio;
        const r = 3.5 * ratio;
        ctx.beginPath();
        ctx.moveTo(x - r, y - r);
        ctx.lineTo(x + r, y + r);
        ctx.moveTo(x + r, y - r);
        ctx.lineTo(x - r, y + r);
        ctx.stroke();
      }
    }
    ctx.strokeStyle = token("--line-strong");
    ctx.fillStyle = token("--muted");
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.lineWidth = ratio;
    ctx.setLineDash([4 * ratio, 4 * ratio]);
    for (const [attempt, step] of begins) {
      const x = plot.valToPos(step, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.textAlign = x > bbox.left + bbox.width - 70 * ratio ? "right" : "left";
      ctx.fillText(`attempt ${attempt}`, x + (ctx.textAlign === "left" ? 4 : -4) * ratio, bbox.top + 10 * ratio);
    }
    ctx.restore();
  }

  /** Values at the cursor, or the newest. */
  private tell(index: number | null): void {
    const step = index === null ? undefined : this.steps[index];
    say(this.at, step === undefined ? "newest" : `step ${step.toLocaleString("en")}`);
    for (const { series, output } of this.curves) {
      const at = step === undefined ? series.steps.length - 1 : nearest(series.steps, step);
      const value = series.values[at];
      const [shown, exact] = this.scale === "plain" ? [plain, String] : [inPercent, exactPercent];
      say(output, value === undefined ? "–" : shown(value));
      output.title = value === undefined ? "" : exact(value);
    }
  }

  private resize(): void {
    if (this.plot && this.area.clientWidth > 0) this.plot.setSize({ width: this.area.clientWidth, height: this.area.clientHeight });
  }
}

/** The training curve of a derived network has no word of its own. */
function title({ name, phase }: Series): string {
  if (phase !== "search" && (name === "loss" || name === "accuracy")) return `train ${name}`;
  return words(name.replace(/_mb$/, "")).replace(/^[cg]pu/, (unit) => unit.toUpperCase());
}

/** As many digits as tell one tick from the next. */
function number(tick: number, apart: number): string {
  const digits = apart.toFixed(10).replace(/0+$/, "").split(".")[1]?.length ?? 0;
  if (digits > 0 && Math.abs(tick) < 1000) return tick.toFixed(digits);
  return Math.abs(tick) >= 1000 || tick === 0 ? short(tick) : String(Number(tick.toPrecision(4)));
}

function faint(colour: string): string {
  return colour.replace(/^rgba?\(([^)/]+)\)$/, (_, channels: string) => `rgb(${channels.replaceAll(",", " ")} / 0.28)`);
}

/** Index of the last step that is not above `step`. */
function nearest(steps: number[], step: number): number {
  let found = 0;
  for (const [index, at] of steps.entries()) {
    if (at > step) break;
    found = index;
  }
  return found;
}

/** Exponential moving average, corrected for its start; skips what is not finite. */
function ema(values: number[], weight: number): number[] {
  let sum = 0;
  let norm = 0;
  return values.map((value) => {
    if (!Number.isFinite(value)) return NaN;
    sum = weight * sum + (1 - weight) * value;
    norm = weight * norm + (1 - weight);
    return sum / norm;
  });
}
