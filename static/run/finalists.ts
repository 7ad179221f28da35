// The finalists: who was trained for how long, what each reached, and who is still in.

import { type Num, number } from "../api.ts";
import { h, need } from "../dom.ts";
import { inPercent, short } from "../format.ts";

interface Finalist {
  text: string;
  cost: { params: number; macs: number };
  scores: { epochs: number; accuracy: Num; loss: Num }[];
  out: boolean;
}

export interface Finalists {
  rounds: number;
  over: boolean;
  finalists: Finalist[];
}

export class FinalistsView {
  constructor(private readonly section: HTMLElement) {}

  show({ rounds, over, finalists }: Finalists): void {
    this.section.hidden = finalists.length === 0;
    const heads = Array.from({ length: rounds }, (_, round) => {
      const long = finalists.find(({ scores }) => scores[round])?.scores[round]?.epochs;
      return h("th", { scope: "col", class: "num" }, `Round ${round + 1}`, long ? h("small", { class: "muted" }, long === 1 ? ", 1 epoch" : `, ${long} epochs`) : "");
    });
    need("[data-finalists-heads]", this.section).replaceChildren(h("th", { scope: "col" }, "Architecture"), ...heads, h("th", { scope: "col", class: "num c-params" }, "Parameters"));
    need("[data-finalists-rows]", this.section).replaceChildren(...ranked(finalists).map((one, place) => row(one, rounds, over && place === 0)));
    const left = finalists.filter(({ out }) => !out).length;
    need("[data-finalists-at]", this.section).textContent = over ? `${finalists.length} trained, the best goes on` : `${left} of ${finalists.length} still in`;
  }
}

/** Those that came furthest first, of these the most accurate. */
function ranked(finalists: Finalist[]): Finalist[] {
  const last = ({ scores }: Finalist): number => number(scores[scores.length - 1]?.accuracy ?? 0);
  return [...finalists].sort((a, b) => Number(a.out) - Number(b.out) || b.scores.length - a.scores.length || last(b) - last(a));
}

function row({ text, cost, scores, out }: Finalist, rounds: number, first: boolean): HTMLElement {
  const cells = Array.from({ length: rounds }, (_, round) => {
    const score = scores[round];
    return h("td", { class: "num" }, score ? inPercent(number(score.accuracy)) : out ? "–" : "…");
  });
  const mark = first ? [" ", h("span", { class: "tag changed" }, "goes on")] : [];
  return h(
    "tr",
    { class: out ? "out" : "" },
    h("td", { class: "text" }, h("code", {}, text), ...mark),
    ...cells,
    h("td", { class: "num c-params", title: cost.params.toLocaleString("en") }, short(cost.params)),
  );
}
