// Other budgets for the trained supernet: a short comparison, limits to slide, a package to make.

import { type Num, type RunView, Problem, api, create, ended, number, send } from "../api.ts";
import { all, find, h, need, prefix, say } from "../dom.ts";
import { milliseconds, inPercent, short } from "../format.ts";
import { type Front, plot } from "./front.ts";

type Measure = "params" | "macs" | "latency";
interface Candidate {
  text: string;
  accuracy: number;
  costs: Record<Measure, number | null>;
}

const PAUSE = 1_000;
const MEASURES: Measure[] = ["params", "macs", "latency"];
const said = (measure: Measure, value: number): string => (measure === "latency" ? milliseconds(value * 1e6) : short(value));

/** The card comes with the run's success, perhaps while the page is open. */
export function bindBudget(run: string): void {
  const card = find("[data-budget]");
  if (!card || card.dataset["bound"]) return;
  card.dataset["bound"] = "yes";
  const budget = new Budget(card, run);
  const known = card.dataset["frontRun"];
  if (known) void budget.follow(known);
}

class Budget {
  private candidates: Candidate[] = [];
  private cost: Measure = "params";
  private pick: Candidate | null = null;

  constructor(private readonly card: HTMLElement, private readonly run: string) {
    const form = need<HTMLFormElement>("[data-budget-start]", card);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.start(form);
    });
    card.addEventListener("input", () => this.show());
    need("[data-budget-make]", card).addEventListener("click", (event) => void this.make(event.currentTarget as HTMLButtonElement));
    need<HTMLAnchorElement>("[data-budget-tune]", card).addEventListener("click", (event) => {
      const link = event.currentTarget as HTMLAnchorElement;
      const address = new URL(link.href);
      if (this.pick) address.searchParams.set("architecture", this.pick.text);
      link.href = address.href;
    });
  }

  private async start(form: HTMLFormElement): Promise<void> {
    const button = need<HTMLButtonElement>("button", form);
    button.disabled = true;
    this.flaw("");
    try {
      const cost = String(new FormData(form).get("cost"));
      const made = await create<RunView>(`runs/${this.run}/front`, { cost });
      await this.follow(made.id);
    } catch (error) {
      this.flaw(error instanceof Problem ? error.words : String(error));
    }
    button.disabled = false;
  }

  /** Shows how far the comparison is, and what it found so far. */
  async follow(front: string): Promise<void> {
    const going = need("[data-budget-going]", this.card);
    for (;;) {
      let view: RunView;
      try {
        view = await send<RunView>("GET", `runs/${front}`);
      } catch (error) {
        going.hidden = true;
        return this.flaw(error instanceof Problem ? error.words : String(error));
      }
      going.hidden = view.status === "succeeded";
      need<HTMLProgressElement>("progress", going).value = number(view.progress?.fraction ?? 0);
      const step = view.progress ? `${view.progress.step} of ${view.progress.total_steps} architectures` : (view.reason ?? "");
      say(find("[data-budget-says]", going), `${view.status} ${step}`.trim());
      if (ended(view.status) && view.status !== "succeeded") return this.flaw(`The comparison is ${view.status}.`);
      await this.load(front, view.status === "succeeded");
      if (ended(view.status)) return;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  /** At the end every candidate is known; before it, the front. */
  private async load(front: string, whole: boolean): Promise<void> {
    const known = await send<{ front: Front | null }>("GET", `runs/${front}/architecture`);
    if (!known.front) return;
    this.cost = known.front.cost;
    this.candidates = known.front.points.map(({ text, accuracy, cost }) => candidate(text, accuracy, [cost.params, cost.macs, cost.latency_ns === undefined ? null : cost.latency_ns / 1e6]));
    if (whole) {
      const answer = await fetch(api(`runs/${front}/artifacts/candidates.csv`), { credentials: "same-origin" });
      if (answer.ok) this.candidates = table(await answer.text());
    }
    this.show();
  }

  private limits(): Record<Measure, number> {
    const limits: Record<Measure, number> = { params: Infinity, macs: Infinity, latency: Infinity };
    for (const label of all("[data-limit]", this.card)) {
      const measure = label.dataset["limit"] as Measure;
      const costs = this.candidates.map(({ costs }) => costs[measure]).filter((cost) => cost !== null);
      label.hidden = costs.length === 0;
      if (costs.length === 0) continue;
      const [low, high] = [Math.min(...costs), Math.max(...costs)];
      const share = Number(need<HTMLInputElement>("input", label).value) / 1000;
      limits[measure] = share >= 1 ? high : low + share * (high - low);
      const text = said(measure, limits[measure]);
      say(find("output", label), text);
      need("input", label).setAttribute("aria-valuetext", text);
    }
    return limits;
  }

  private show(): void {
    need("[data-budget-found]", this.card).hidden = this.candidates.length === 0;
    if (this.candidates.length === 0) return;
    const limits = this.limits();
    const within = this.candidates.filter(({ costs }) => MEASURES.every((measure) => (costs[measure] ?? 0) <= limits[measure]));
    this.pick = within.reduce<Candidate | null>((best, one) => (best && best.accuracy >= one.accuracy ? best : one), null);
    need<HTMLButtonElement>("[data-budget-make]", this.card).disabled = !this.pick;
    const best = front(this.candidates, this.cost);
    need("[data-budget-plot]", this.card).replaceChildren(...plot(shape(best, this.cost), this.pick ? [this.pick.costs[this.cost] ?? 0, this.pick.accuracy] : null));
    need("[data-budget-pick]", this.card).replaceChildren(...this.words());
  }

  private words(): Node[] {
    if (!this.pick) return [h("p", {}, "No architecture that was compared is within all of these limits.")];
    const { accuracy, costs, text } = this.pick;
    const latency = costs.latency === null ? "" : `, ${said("latency", costs.latency)} ms`;
    return [
      h("p", {}, h("b", {}, inPercent(accuracy)), " validation accuracy with inherited weights"),
      h("p", { class: "muted" }, `${short(costs.params ?? 0)} parameters, ${short(costs.macs ?? 0)} multiply-adds${latency}`),
      h("p", {}, h("code", {}, text)),
    ];
  }

  private async make(button: HTMLButtonElement): Promise<void> {
    if (!this.pick) return;
    button.disabled = true;
    try {
      const made = await create<RunView>(`runs/${this.run}/train`, { preset: "inherit", architecture: this.pick.text });
      location.assign(`${prefix}/runs/${made.id}`);
    } catch (error) {
      this.flaw(error instanceof Problem ? error.words : String(error));
      button.disabled = false;
    }
  }

  private flaw(detail: string): void {
    const box = need("[data-budget-flaw]", this.card);
    say(box, detail);
    box.hidden = detail === "";
  }
}

function candidate(text: string, accuracy: Num, [params = null, macs = null, latency = null]: (number | null)[]): Candidate {
  return { text, accuracy: number(accuracy), costs: { params, macs, latency } };
}

/** Rows of `"text",accuracy,loss,params,macs[,latency]`. */
function table(csv: string): Candidate[] {
  const rows = csv.trim().split("\n").slice(1);
  return rows.flatMap((row) => {
    const found = /^"([^"]*)",(.*)$/.exec(row);
    if (!found?.[1] || !found[2]) return [];
    const [accuracy, , params, macs, latency] = found[2].split(",").map(Number);
    return [candidate(found[1], accuracy ?? NaN, [params ?? null, macs ?? null, latency ?? null])];
  });
}

/** Those that no cheaper one equals in accuracy, by rising cost. */
function front(candidates: Candidate[], cost: Measure): Candidate[] {
  const of = (one: Candidate): number => one.costs[cost] ?? 0;
  const sorted = candidates.filter(({ accuracy }) => Number.isFinite(accuracy)).sort((a, b) => of(a) - of(b) || b.accuracy - a.accuracy);
  let best = -Infinity;
  return sorted.filter(({ accuracy }) => accuracy > best && ((best = accuracy), true));
}

function shape(candidates: Candidate[], cost: Measure): Front {
  const points = candidates.map(({ text, accuracy, costs }) => ({
    text,
    accuracy,
    cost: { params: costs.params ?? 0, macs: costs.macs ?? 0, ...(costs.latency === null ? {} : { latency_ns: costs.latency * 1e6 }) },
  }));
  return { step: 0, generation: 0, cost, points };
}
