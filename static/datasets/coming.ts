// How far an upload and its preparation are, in words and as a bar.

import { type IncomingView, api } from "../api.ts";
import { find, say } from "../dom.ts";
import { bytes, duration } from "../format.ts";

const VERBS: Record<string, string> = { reading: "Reading", checking: "Looking it over", decoding: "Decoding", writing: "Writing" };

/** Follows what is on its way until it is done or has failed. */
export function follow(id: string, box: Element, ended: () => void): void {
  const events = new EventSource(api(`datasets/${id}/events`));
  const pace = new Pace();
  events.addEventListener("incoming", (event: MessageEvent<string>) => {
    const incoming = JSON.parse(event.data) as IncomingView;
    if (incoming.state === "failed") {
      events.close();
      ended();
    } else show(box, incoming, pace);
  });
  events.addEventListener("dataset", () => {
    events.close();
    ended();
  });
}

function show(box: Element, incoming: IncomingView, pace: Pace): void {
  const { state, stage, done, total } = incoming;
  bar(box, total > 0 ? done / total : 0);
  if (state === "waiting") say(find("[data-says]", box), "Waits until another data set is prepared.");
  if (state === "fetching") say(find("[data-says]", box), `Fetching ${stage ?? ""} ${amount(done, total, pace.left("fetching", done, total))}`);
  if (state === "preparing") {
    const verb = VERBS[stage ?? ""] ?? "Preparing";
    const left = pace.left(stage ?? "", done, total);
    const unit = stage === "reading" ? amount(done, total, left) : `${done.toLocaleString("en")} of ${total.toLocaleString("en")} images${left}`;
    say(find("[data-says]", box), total > 0 ? `${verb}: ${unit}` : verb);
  }
}

/** How far a bar is, `0..1`. */
export function bar(box: Element, share: number): void {
  const element = find<HTMLProgressElement>("[data-bar]", box);
  if (element) element.value = share;
}

/** `12 MB of 60 MB, 3 s left`. */
export function amount(done: number, total: number, left: string): string {
  return total > 0 ? `${bytes(done)} of ${bytes(total)}${left}` : bytes(done);
}

/** Tells from how fast a stage goes how long it still takes. */
class Pace {
  private stage = "";
  private began = 0;
  private from = 0;

  left(stage: string, done: number, total: number): string {
    const now = performance.now();
    if (stage !== this.stage) [this.stage, this.began, this.from] = [stage, now, done];
    const seconds = (now - this.began) / 1000;
    if (seconds < 1 || done <= this.from) return "";
    const rate = (done - this.from) / seconds;
    return `, ${duration((total - done) / rate)} left`;
  }
}
