// The sticky header: state, progress, rate, remaining time.

import { type Progress, type RunView, ended, number } from "../api.ts";
import { announce, find, need, say } from "../dom.ts";
import { duration, percent } from "../format.ts";

const PHASES: Record<string, string> = {
  search: "searching",
  select: "comparing architectures",
  finalists: "training finalists",
  inherit: "measuring the derived network",
  fine_tune: "fine-tuning",
  fit: "training from scratch",
  package: "writing the result",
};

export class Header {
  status: string;

  constructor(private readonly box: HTMLElement) {
    this.status = box.dataset["status"] ?? "";
  }

  /** Whether the state is another than before. */
  apply(run: RunView): boolean {
    const before = this.status;
    this.status = run.status;
    const state = need("[data-state]", this.box);
    state.className = `state ${run.status}`;
    say(state, run.status);
    if (run.progress) this.progress(run.progress);
    this.bar(run);
    const device = need("[data-fact=device]", this.box);
    say(device, run.device);
    if (device.parentElement) device.parentElement.hidden = run.status === "pending";
    if (run.status === "pending") say(find("[data-fact=phase]", this.box), "waiting in Slurm");
    this.place(run);
    if (before === run.status) return false;
    announce(`Run ${run.status}`);
    return true;
  }

  progress(progress: Progress): void {
    const fact = (name: string, text: string): void => say(find(`[data-fact=${name}]`, this.box), text);
    fact("phase", PHASES[progress.phase] ?? progress.phase);
    fact("step", `${progress.step.toLocaleString("en")} / ${progress.total_steps.toLocaleString("en")}`);
    fact("epoch", `${progress.epoch.toLocaleString("en")} / ${progress.epochs.toLocaleString("en")}`);
    const rate = number(progress.images_per_s);
    if (rate > 0) fact("rate", `${Math.round(rate).toLocaleString("en")} ${find("[data-example]")?.dataset["example"] ?? "image"}s/s`);
    if (ended(this.status)) return;
    const stopping = this.status === "cancelling" || this.status === "pausing";
    const remaining = number(progress.remaining_s);
    fact("remaining", stopping ? "stopping" : Number.isFinite(remaining) ? `${duration(remaining)} left` : "time left not known yet");
    const fraction = number(progress.fraction);
    const bar = need<HTMLProgressElement>("progress", this.box);
    if (Number.isFinite(fraction)) bar.value = fraction;
    say(find("[data-fact=percent]", this.box), percent(fraction, 0));
    const name = find("[data-name]")?.textContent ?? "run";
    document.title = `${percent(fraction, 0)} · ${name} · Skein`;
  }

  /** Where the run's job is on a cluster, and when it is expected to begin. */
  private place(run: RunView): void {
    const box = need("[data-place]", this.box);
    box.hidden = run.cluster === null;
    if (run.cluster === null) return;
    const starts = run.cluster.starts_at;
    const at = starts === null ? "" : `, expected to begin at ${new Date(starts).toLocaleString()}`;
    say(box, run.cluster.summary + at);
    box.title = starts ?? "";
  }

  private bar(run: RunView): void {
    const bar = need<HTMLProgressElement>("progress", this.box);
    bar.className = run.status;
    if (run.status === "succeeded") bar.value = 1;
    if (ended(run.status)) document.title = `${run.status} · ${run.name} · Skein`;
  }

  connection(text: string): void {
    const note = need("[data-connection]", this.box);
    note.hidden = text === "";
    say(note, text);
  }
}
