// The page of one run: what is known so far, then everything new as it is said.

import { type ArchitectureNow, type Num, type Progress, type RowsData, type RunEvent, type RunView, type SeriesData, Problem, ended, number, send } from "./api.ts";
import { find, need, perFrame, toast } from "./dom.ts";
import { ask, heardSince } from "./contact.ts";
import { swap } from "./morph.ts";
import { bindActions } from "./run/actions.ts";
import { ArchitectureView } from "./run/architecture.ts";
import { bindBudget } from "./run/budget.ts";
import { Curves } from "./run/curves.ts";
import { Figures } from "./run/figures.ts";
import { loadFiles } from "./run/files.ts";
import { type Finalists, FinalistsView } from "./run/finalists.ts";
import { type Front, FrontView } from "./run/front.ts";
import { Header } from "./run/header.ts";
import { LogView } from "./run/log.ts";
import { RowsView } from "./run/rows.ts";
import { Store } from "./run/store.ts";
import { bindTraining } from "./run/train.ts";
import { bindTry } from "./run/try.ts";
import type { Told } from "./stream/hub.ts";
import { Listening } from "./stream/listen.ts";

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
const finalists = new FinalistsView(need("[data-finalists]"));
const log = new LogView(need("[data-logs]"), run);
const files = need("[data-artifacts]");
const trial = need("[data-try]");
const listening = new Listening(run, page.dataset["streamWorker"] ?? "", heard);

bindActions(run, (view) => {
  header.apply(view);
  void refresh();
});
bindTraining(run);
bindBudget(run);
bindTry(trial, run);
void begin();

async function begin(): Promise<void> {
  let after = 0;
  try {
    const [metrics, history, past] = await Promise.all([
      send<{ series: SeriesData[]; last_event: number }>("GET", `runs/${run}/metrics?max_points=600`),
      send<RowsData>("GET", `runs/${run}/rows?max_points=300`),
      send<{ current: ArchitectureNow | null; history: ArchitectureNow[]; front: Front | null; finalists: Finalists | null }>("GET", `runs/${run}/architecture`),
    ]);
    store.load(metrics.series);
    store.history.load(history);
    architecture.know(history.choices, past.history);
    rows.build(history.choices);
    if (past.front) front.show(past.front);
    if (past.finalists) finalists.show(past.finalists);
    after = metrics.last_event;
  } catch (error) {
    report(error);
  }
  paint();
  await Promise.all([log.load().catch(report), loadFiles(files, run).catch(report)]);
  if (!ended(header.status)) listening.begin(after);
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

function heard(told: Told): void {
  switch (told.kind) {
    case "event":
      return event(told.event);
    case "status":
      return status(told.view);
    case "gone":
      listening.end();
      return header.connection("This run has been deleted.");
    case "open":
      return opened();
    case "cut":
      return cut();
  }
}

const takes: Record<string, (event: RunEvent<never>) => void> = {
  started: ({ payload }: RunEvent<{ total_steps: number }>) => {
    total = payload.total_steps || total;
  },
  progress: ({ payload }: RunEvent<Progress>) => {
    if (payload.phase === "search" && payload.total_steps > 0) total = payload.total_steps;
    header.progress(payload);
    figures.rate(payload);
  },
  metrics: ({ attempt, payload: { phase, step, values } }: RunEvent<{ phase: string; step: number; values: Record<string, Num> }>) => {
    for (const [name, value] of Object.entries(values)) store.at(phase, name).add(step, number(value), attempt);
  },
  rows: ({ payload: { step, epoch, rows } }: RunEvent<{ step: number; epoch: number; rows: Num[][] }>) => store.history.add(step, epoch, rows),
  architecture: ({ payload }: RunEvent<ArchitectureNow>) => architecture.add(payload),
  front: ({ payload }: RunEvent<Front>) => front.show(payload),
  finalists: ({ payload }: RunEvent<Finalists>) => finalists.show(payload),
  log: (event: RunEvent<{ message: string; level?: string }>) => log.add(event),
  warning: (event: RunEvent<{ message: string; code: string }>) => log.add(event),
};

function event(event: RunEvent<unknown>): void {
  // A message's kind says what its payload is.
  takes[event.kind]?.(event as RunEvent<never>);
  paint();
}

function status(view: RunView): void {
  const changed = header.apply(view);
  if (ended(view.status)) {
    listening.end();
    opened();
  }
  if (changed) void refresh();
}

/** Told of a cut only if it lasts: the stream is opened again by itself. */
const CUT_SHOWN = 6_000;
let cutTimer = 0;
function cut(): void {
  cutTimer ||= window.setTimeout(() => {
    // Where nothing at all is heard, the line above the page says so.
    if (heardSince(CUT_SHOWN)) header.connection("The live updates are interrupted; they are tried again. What is shown may be old.");
  }, CUT_SHOWN);
}

function opened(): void {
  clearTimeout(cutTimer);
  cutTimer = 0;
  header.connection("");
}

/** The parts of the page that depend on the run's state, from the server's own template. */
async function refresh(): Promise<void> {
  const answer = await ask(location.href);
  if (answer?.status === 404) return header.connection("This run has been deleted.");
  if (!answer?.ok) {
    if (!listening.isOn) setTimeout(() => void refresh(), 3_000);
    return;
  }
  swap(answer.text);
  document.dispatchEvent(new Event("skein:tell"));
  bindBudget(run);
  header.status = find("[data-head]")?.dataset["status"] ?? header.status;
  trial.hidden = header.status !== "succeeded";
  await Promise.all([log.load().catch(() => undefined), loadFiles(files, run).catch(() => undefined)]);
  paint();
  if (!ended(header.status) && !listening.isOn) listening.begin(0);
}
