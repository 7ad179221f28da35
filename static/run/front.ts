// The trade-offs of accuracy against cost: a plot, and the same as a table.

import { type Num, number } from "../api.ts";
import { h, need, s } from "../dom.ts";
import { milliseconds, inPercent, short } from "../format.ts";

interface FrontPoint {
  text: string;
  accuracy: Num;
  cost: { params: number; macs: number; latency_ns?: number };
}

export interface Front {
  step: number;
  generation: number;
  cost: "params" | "macs" | "latency";
  points: FrontPoint[];
}

const WIDTH = 480;
const HEIGHT = 240;
const EDGE = { left: 56, right: 16, top: 16, bottom: 40 };

export class FrontView {
  constructor(private readonly section: HTMLElement) {}

  show(front: Front): void {
    this.section.hidden = front.points.length === 0;
    need("[data-front-at]", this.section).textContent = `generation ${front.generation + 1}: ${front.points.length} of ${front.step} architectures compared`;
    const timed = front.points.some(({ cost }) => cost.latency_ns !== undefined);
    need("[data-front-latency]", this.section).hidden = !timed;
    need("[data-front-rows]", this.section).replaceChildren(...front.points.map((point) => row(point, timed)));
    need<HTMLElement>("[data-front-plot]", this.section).replaceChildren(...plot(front));
  }
}

const NAMES = { params: "parameters", macs: "multiply-adds per image", latency: "latency, ms" };

function row({ text, accuracy, cost }: FrontPoint, timed: boolean): HTMLElement {
  const cell = (value: string, exact = ""): HTMLElement => h("td", { class: "num", title: exact }, value);
  const exact = (value: number): string => value.toLocaleString("en");
  return h(
    "tr",
    {},
    cell(short(cost.params), exact(cost.params)),
    cell(short(cost.macs), exact(cost.macs)),
    ...(timed ? [cell(milliseconds(cost.latency_ns ?? 0))] : []),
    cell(inPercent(number(accuracy))),
    h("td", { class: "text" }, h("code", {}, text)),
  );
}

/** Points with the steps between them: for a cost, the best accuracy that it buys; one is marked. */
export function plot({ cost, points }: Front, mark: [cost: number, accuracy: number] | null = null): Element[] {
  const costs = points.map((point) => (cost === "latency" ? (point.cost.latency_ns ?? 0) : point.cost[cost]));
  const say = cost === "latency" ? milliseconds : short;
  const accuracies = points.map((point) => number(point.accuracy));
  const x = scale(costs, EDGE.left, WIDTH - EDGE.right);
  const y = scale(accuracies, HEIGHT - EDGE.bottom, EDGE.top);
  const at = costs.map((value, index): [number, number] => [x(value), y(accuracies[index] ?? 0)]);
  const path = at.map(([left, top], index) => (index === 0 ? `M${left} ${top}` : `H${left}V${top}`)).join("") + `H${WIDTH - EDGE.right}`;
  const text = (left: number, top: number, anchor: string, words: string): SVGElement => s("text", { x: left, y: top, "text-anchor": anchor }, words);
  const [first = 0, last = 0] = [costs[0], costs[costs.length - 1]];
  const bottom = HEIGHT - EDGE.bottom;
  return [
    s("path", { class: "axis", d: `M${EDGE.left} ${EDGE.top}V${bottom}H${WIDTH - EDGE.right}` }),
    s("path", { class: "line", d: path }),
    ...at.map(([left, top]) => s("circle", { cx: left, cy: top, r: 4 })),
    ...(mark ? [s("circle", { class: "mark", cx: x(cost === "latency" ? mark[0] * 1e6 : mark[0]), cy: y(mark[1]), r: 8 })] : []),
    text(x(first), bottom + 18, "start", say(first)),
    ...(last > first ? [text(x(last), bottom + 18, "end", say(last))] : []),
    text((EDGE.left + WIDTH - EDGE.right) / 2, HEIGHT - 6, "middle", NAMES[cost]),
    text(EDGE.left - 6, y(Math.min(...accuracies)) + 4, "end", inPercent(Math.min(...accuracies))),
    ...(points.length > 1 ? [text(EDGE.left - 6, y(Math.max(...accuracies)) + 4, "end", inPercent(Math.max(...accuracies)))] : []),
  ];
}

/** A linear map of some values onto a range; a single one goes to its middle. */
function scale(values: number[], from: number, to: number): (value: number) => number {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return (value) => (high > low ? from + ((value - low) / (high - low)) * (to - from) : (from + to) / 2);
}
