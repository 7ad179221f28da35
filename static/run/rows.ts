// Rows over time: a strip and bars for each choice, one slider for them and the drawing.

import type { ChoiceInfo } from "../api.ts";
import { find, h, need, perFrame, s, say } from "../dom.ts";
import { inPercent } from "../format.ts";
import { differenceMap, isDark, onTheme, probabilityMap, token } from "./colour.ts";
import { type RowHistory, best } from "./store.ts";

interface Strip {
  canvas: HTMLCanvasElement;
  note: HTMLElement;
  bars: { entry: HTMLElement; bar: SVGRectElement; text: HTMLElement }[];
}

export class RowsView {
  private strips: Strip[] = [];
  private look: Look = { map: probabilityMap(isDark()), low: 0, high: 1, uniform: false };
  private readonly full: HTMLInputElement;
  private index = -1;
  private following = true;
  private timer = 0;
  private readonly slider: HTMLInputElement;
  private readonly play: HTMLButtonElement;
  private readonly live: HTMLButtonElement;
  private readonly paint = perFrame(() => this.draw());

  constructor(
    private readonly section: HTMLElement,
    private readonly history: RowHistory,
    private total: number,
    private readonly onMove: (index: number) => void,
  ) {
    this.slider = need("[data-slider]", section);
    this.play = need("[data-play]", section);
    this.live = need("[data-live]", section);
    this.full = need("[data-full-scale]", section);
    this.full.addEventListener("change", this.paint);
    this.slider.addEventListener("input", () => this.move(Number(this.slider.value)));
    this.play.addEventListener("click", () => this.toggle());
    this.live.addEventListener("click", () => this.move(this.history.length - 1));
    new ResizeObserver(this.paint).observe(section);
    onTheme(this.paint);
  }

  build(choices: ChoiceInfo[]): void {
    const box = need("[data-strips]", this.section);
    const tensors = [...new Set(choices.map((choice) => choice.tensor))];
    this.strips = [];
    box.replaceChildren(
      ...tensors.map((tensor) => {
        const title = `${tensor.charAt(0).toUpperCase()}${tensor.slice(1)}`;
        // Rows of edges belong to a cell, others to a property of layers.
        const cell = tensor !== "cell" && choices.some((one) => one.tensor === tensor && one.label.includes("→"));
        const group = h("section", { class: "tensor" }, h("h3", {}, cell ? `${title} cell` : title));
        for (const choice of choices.filter((one) => one.tensor === tensor)) group.append(this.strip(choice));
        return group;
      }),
    );
    this.paint();
  }

  private strip({ tensor, label, options }: ChoiceInfo): HTMLElement {
    const canvas = h("canvas", { role: "img", "aria-label": `Probabilities of the options of ${tensor} ${label} over the steps` });
    const note = h("small", {});
    const pick = (event: PointerEvent): void => {
      if (event.type === "pointermove" && event.buttons === 0) return;
      const share = event.offsetX / Math.max(1, canvas.clientWidth);
      this.move(this.at(share * this.domain));
    };
    canvas.addEventListener("pointerdown", pick);
    canvas.addEventListener("pointermove", pick);
    const bars = options.map((option) => {
      const bar = s("rect", { height: 10, rx: 1, width: 0 });
      const text = h("span", { class: "p" }, "–");
      const svg = s("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { class: "track", width: 100, height: 10, rx: 1 }), bar);
      return { entry: h("span", {}, h("span", {}, option), svg, text), bar, text };
    });
    this.strips.push({ canvas, note, bars });
    return h(
      "div",
      { class: "row-strip" },
      h("div", { class: "which" }, h("b", {}, label), note),
      h("div", { class: "heat" }, h("ol", { "aria-hidden": "true" }, ...options.map((option) => h("li", {}, option))), canvas),
      h("div", { class: "row-bars" }, ...bars.map(({ entry }) => entry)),
    );
  }

  /** Steps that the strips span: the whole search from the start, so that nothing moves. */
  private get domain(): number {
    return Math.max(this.total, this.history.steps[this.history.length - 1] ?? 0, 1);
  }

  /** The newest record that is not after `step`. */
  private at(step: number): number {
    const next = this.history.steps.findIndex((known) => known > step);
    return next < 0 ? this.history.length - 1 : Math.max(0, next - 1);
  }

  update(total: number): void {
    this.total = total || this.total;
    const last = this.history.length - 1;
    const empty = last < 0;
    need("[data-rows-wait]", this.section).hidden = !empty;
    need("[data-scrub]", this.section).hidden = empty;
    if (empty) return;
    this.slider.max = String(last);
    if (this.following || this.index < 0) this.show(last);
    else this.paint();
  }

  move(index: number): void {
    if (this.history.length === 0) return;
    this.following = index >= this.history.length - 1;
    this.show(Math.min(index, this.history.length - 1));
  }

  private show(index: number): void {
    this.index = index;
    this.slider.value = String(index);
    const step = this.history.steps[index] ?? 0;
    const epoch = (this.history.epochs[index] ?? 0) + 1;
    const words = `step ${step.toLocaleString("en")}, epoch ${epoch.toLocaleString("en")}`;
    this.slider.setAttribute("aria-valuetext", words);
    say(find("[data-scrub-at]", this.section), words);
    this.live.hidden = this.following;
    this.paint();
    this.onMove(index);
  }

  private toggle(): void {
    if (this.timer) return this.stop();
    if (this.index >= this.history.length - 1) this.move(0);
    say(this.play, "❚❚ Pause");
    const stride = Math.max(1, Math.ceil(this.history.length / 120));
    this.timer = window.setInterval(() => {
      this.move(this.index + stride);
      if (this.index >= this.history.length - 1) this.stop();
    }, 80);
  }

  private stop(): void {
    clearInterval(this.timer);
    this.timer = 0;
    say(this.play, "▶ Play");
  }

  private draw(): void {
    this.look = look(this.full.checked ? null : this.history.rows);
    this.scale();
    const rows = this.history.rows[this.index] ?? [];
    for (const [choice, strip] of this.strips.entries()) {
      this.heat(choice, strip.canvas);
      const row = rows[choice] ?? [];
      const top = best(row);
      const sorted = [...row].sort((a, b) => b - a);
      const flips = this.history.flips(choice, this.index);
      say(strip.note, row.length === 0 ? "" : `lead ${((sorted[0] ?? 0) - (sorted[1] ?? 0)).toFixed(2)} · ${flips} ${flips === 1 ? "flip" : "flips"}`);
      for (const [option, { entry, bar, text }] of strip.bars.entries()) {
        const p = row[option] ?? NaN;
        entry.className = option === top && row.length > 0 ? "best" : "";
        bar.setAttribute("width", Number.isFinite(p) ? (100 * p).toFixed(2) : "0");
        say(text, Number.isFinite(p) ? p.toFixed(3) : "–");
      }
    }
  }

  private heat(choice: number, canvas: HTMLCanvasElement): void {
    const ratio = devicePixelRatio;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    const ctx = canvas.getContext("2d");
    if (!ctx || width === 0) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    ctx.fillStyle = token("--sunken");
    ctx.fillRect(0, 0, width, height);
    const { steps, rows } = this.history;
    const { map, low, high, uniform } = this.look;
    const colour = (x: number): string => map[Math.round(255 * Math.min(1, Math.max(0, (x - low) / (high - low))))] ?? "";
    const x = (step: number): number => Math.round((step / this.domain) * width);
    for (const [index, step] of steps.entries()) {
      const left = index === 0 ? 0 : x(steps[index - 1] ?? 0);
      const row = rows[index]?.[choice] ?? [];
      const tall = height / Math.max(1, row.length);
      const from = uniform ? 1 / row.length : 0;
      for (const [option, p] of row.entries()) {
        ctx.fillStyle = Number.isFinite(p) ? colour(p - from) : token("--bad");
        const y = Math.round(option * tall);
        ctx.fillRect(left, y, Math.max(1, x(step) - left), Math.round((option + 1) * tall) - y);
      }
    }
    const at = x(steps[this.index] ?? 0);
    ctx.fillStyle = token("--surface");
    ctx.fillRect(at - 2 * ratio, 0, 3 * ratio, height);
    ctx.fillStyle = token("--text");
    ctx.fillRect(at - 1.5 * ratio, 0, 2 * ratio, height);
  }

  /** The key to the colours. */
  private scale(): void {
    const { map, low, high, uniform } = this.look;
    say(find("[data-scale-of]", this.section), uniform ? "difference from uniform" : "probability");
    const end = (x: number): string => (uniform ? `${x < 0 ? "−" : "+"}${inPercent(Math.abs(x))}` : x.toFixed(2));
    say(find("[data-scale-low]", this.section), end(low));
    say(find("[data-scale-high]", this.section), end(high));
    const canvas = find<HTMLCanvasElement>("[data-scale]", this.section);
    const ctx = canvas?.getContext("2d");
    if (!canvas || !ctx) return;
    Object.assign(canvas, { width: 256, height: 1 });
    for (const [index, colour] of map.entries()) {
      ctx.fillStyle = colour;
      ctx.fillRect(index, 0, 1, 1);
    }
  }
}

/** What the colours stand for: probabilities, or their differences from those of an undecided choice. */
interface Look {
  map: string[];
  low: number;
  high: number;
  uniform: boolean;
}

/** Differences below this are shown as they are, above it as what they lead to. */
const YOUNG = 0.05;
/** Smaller differences are not stretched to the ends of the map. */
const SMALLEST = 0.0001;

/** The whole scale without a history; of a young search the differences from uniform; else the probabilities that occur. */
export function look(history: number[][][] | null): Look {
  const map = (): string[] => probabilityMap(isDark());
  if (!history) return { map: map(), low: 0, high: 1, uniform: false };
  let [low, high, off] = [1, 0, 0];
  for (const row of history.flat()) {
    for (const p of row) {
      if (p < low) low = p;
      if (p > high) high = p;
      if (Math.abs(p - 1 / row.length) > off) off = Math.abs(p - 1 / row.length);
    }
  }
  if (high < low) return { map: map(), low: 0, high: 1, uniform: false };
  if (off < YOUNG) {
    const most = Math.max(off, SMALLEST);
    return { map: differenceMap(isDark()), low: -most, high: most, uniform: true };
  }
  return { map: map(), low: Math.max(0, low), high: Math.min(1, high), uniform: false };
}
