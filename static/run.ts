// The page of one run: what is known so far, then everything new as it is said.

import { type ArchitectureNow, type Num, type Progress, type RowsData, type RunEvent, type RunView, type SeriesData, Problem, api, ended, number, send } from "./api.ts";
import { find, need, perFrame, toast } from "./dom.ts";
import { swap } from "./morph.ts";
import { bindActions } from "./run/actions.ts";
import { ArchitectureView } from "./run/architecture.ts";
import { bindBudget } from "./run/budget.ts";
import { Curves } from "./run/curves.ts";
import { Figures } from "./run/figures.ts";
import { loadFiles } from "./run/files.ts";
import { type Front, FrontView } from "./run/front.ts";
import { Header } from "./run/header.ts";
import { LogView } from "./run/log.ts";
import { RowsView } from "./run/rows.ts";
import { Store } from "./run/store.ts";
import { bindTraining } from "./run/train.ts";
import { bindTry } from "./run/try.ts";

const page = need("[data-run]");
const run = page.dataset["run"] ?? "";
let total = Number(page.dataset["totalSteps"] ?? 0);
const store = new Store();
const header = new Header(need("[data-head]"));
const figures = new Figures(need("[data-figures]"), store);
const curves = new Curves(need("[data-curves]"), store);
const architecture = new ArchitectureView(need("[data-architecture]"), run, store.history, page.dataset["preset"] ?? "");
const rows = new RowsView(need("[data-rows]"), store.history, total, (index) => architecture.show(index));
const front = new FrontView(need("[data-front]"));
const log = new LogView(need("[data-logs]"), run);
const files = need("[data-artifacts]");
const trial = need("[data-try]");

bindActions(run, () => void refresh());
bindTraining(run);
bindBudget(run);
bindTry(trial, run);
void begin();

async function begin(): Promise<void> {
  let after = "";
  try {
    const [metrics, history, past] = await Promise.all([
      send<{ series: SeriesData[]; last_event: number }>("GET", `runs/${run}/metrics?max_points=600`),
      send<RowsData>("GET", `runs/${run}/rows?max_points=300`),
      send<{ current: ArchitectureNow | null; history: ArchitectureNow[]; front: Front | null }>("GET", `runs/${run}/architecture`),
    ]);
    store.load(metrics.series);
    store.history.load(history);
    architecture.know(history.choices, past.history);
    rows.build(history.choices);
    if (past.front) front.show(past.front);
    after = `&after=${metrics.last_event}`;
  } catch (error) {
    report(error);
  }
  paint();
  await Promise.all([log.load().catch(report), loadFiles(files, run).catch(report)]);
  if (!ended(header.status)) listen(after);
}

let reported = false;
function report(error: unknown): void {
  if (reported) return;
  reported = true;
  toast(error instanceof Problem ? error.words : String(error), "bad");
}

let painted = 0;
let pending = 0;
/** At most four times a second: more cannot be read. */
const draw = perFrame(() => {
  painted = performance.now();
  curves.update();
  figures.update();
  rows.update(total);
});
function paint(): void {
  if (pending) return;
  pending = window.setTimeout(
    () => {
      pending = 0;
      draw();
    },
    Math.max(0, 250 - (performance.now() - painted)),
  );
}

let stream: EventSource | null = null;
function listen(after: string): void {
  stream?.close();
  const source = new EventSource(api(`runs/${run}/events?status=true${after}`));
  stream = source;
  const on = <P>(kind: string, task: (payload: P, event: RunEvent<P>) => void): void => {
    source.addEventListener(kind, (message) => {
      const event = JSON.parse((message as MessageEvent<string>).data) as RunEvent<P>;
      task(event.payload, event);
      paint();
    });
  };
  on<{ total_steps: number }>("started", (payload) => (total = payload.total_steps || total));
  on<Progress>("progress", (payload) => {
    if (payload.phase === "search" && payload.total_steps > 0) total = payload.total_steps;
    header.progress(payload);
    figures.rate(payload);
  });
  on<{ phase: string; step: number; values: Record<string, Num> }>("metrics", ({ phase, step, values }, { attempt }) => {
    for (const [name, value] of Object.entries(values)) store.at(phase, name).add(step, number(value), attempt);
  });
  on<{ step: number; epoch: number; rows: Num[][] }>("rows", ({ step, epoch, rows }) => store.history.add(step, epoch, rows));
  on<ArchitectureNow>("architecture", (payload) => architecture.add(payload));
  on<Front>("front", (payload) => front.show(payload));
  on<{ message: string; level?: string }>("log", (_, event) => log.add(event));
  on<{ message: string; code: string }>("warning", (_, event) => log.add(event));
  source.addEventListener("status", (message) => status(JSON.parse((message as MessageEvent<string>).data) as RunView));
  source.addEventListener("open", () => header.connection(""));
  source.addEventListener("error", () => lost(source));
}

function status(view: RunView): void {
  const changed = header.apply(view);
  if (ended(view.status)) {
    stream?.close();
    stream = null;
    header.connection("");
  }
  if (changed) void refresh();
}

/** The browser reconnects by itself after a cut; after a refusal we do. */
function lost(source: EventSource): void {
  if (stream !== source) return;
  header.connection("Connection lost, trying again. What is shown may be old.");
  if (source.readyState === EventSource.CLOSED) setTimeout(() => void refresh(), 3_000);
}

/** The parts of the page that depend on the run's state, from the server's own template. */
async function refresh(): Promise<void> {
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.status === 404) return header.connection("This run has been deleted.");
    if (answer.ok && !answer.redirected) {
      const html = await answer.text();
      swap(html);
      document.dispatchEvent(new Event("skein:tell"));
      bindBudget(run);
      header.status = find("[data-head]")?.dataset["status"] ?? header.status;
      trial.hidden = header.status !== "succeeded";
    }
  } catch {
    if (!stream) setTimeout(() => void refresh(), 3_000);
    return;
  }
  await Promise.all([log.load().catch(() => undefined), loadFiles(files, run).catch(() => undefined)]);
  paint();
  const open = stream && stream.readyState !== EventSource.CLOSED;
  if (!ended(header.status) && !open) listen("");
}
