// Trying the network of a finished run: an image in, classes out; or a prompt in, its continuation out.

import { type PredictionData, Problem, send, upload } from "../api.ts";
import { all, announce, find, h, need, s, say } from "../dom.ts";
import { percent, value } from "../format.ts";

/** Most bytes that the server takes. */
const LARGEST = 10 * 1024 * 1024;

export function bindTry(section: HTMLElement, run: string): void {
  const form = find<HTMLFormElement>("[data-try-form]", section);
  if (form) new TryText(section, run, form);
  else new TryImage(section, run);
}

/** One question at a time; a new one takes the place of the old. */
abstract class Try {
  private asking: AbortController | null = null;
  private readonly stop: HTMLButtonElement;
  private readonly fault: HTMLElement;

  constructor(
    protected readonly section: HTMLElement,
    protected readonly run: string,
  ) {
    this.stop = need("[data-try-stop]", section);
    this.fault = need("[data-try-fault]", section);
    this.stop.addEventListener("click", () => this.asking?.abort());
  }

  protected async ask(question: (signal: AbortSignal) => Promise<PredictionData>, shown: (answer: PredictionData) => void): Promise<void> {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.busy(true);
    this.refuse("");
    this.tell("Asking the network …");
    try {
      const answer = await question(asking.signal);
      if (this.asking !== asking) return;
      need("[data-try-wait]", this.section).hidden = true;
      shown(answer);
    } catch (error) {
      if (this.asking !== asking) return;
      const stopped = error instanceof DOMException && error.name === "AbortError";
      this.tell(stopped ? "Stopped." : "");
      if (!stopped) {
        this.refuse(error instanceof Problem ? error.words : String(error));
        this.clear();
      }
    }
    this.asking = null;
    this.busy(false);
  }

  protected tell(text: string): void {
    say(need("[data-try-status]", this.section), text);
  }

  protected refuse(text: string): void {
    say(this.fault, text);
    this.fault.hidden = text === "";
  }

  private busy(on: boolean): void {
    need(".try", this.section).classList.toggle("busy", on);
    // The button that was pressed must not lose the focus to nothing.
    if (!on && document.activeElement === this.stop) this.begin().focus();
    this.stop.hidden = !on;
  }

  /** Takes the last answer away, which is another input's. */
  protected clear(): void {
    for (const part of all("[data-try-hint], [data-try-classes], [data-try-said]", this.section)) part.hidden = true;
    need("[data-try-wait]", this.section).hidden = false;
  }

  /** What one presses to ask. */
  protected abstract begin(): HTMLElement;
}

class TryImage extends Try {
  private file: File | null = null;
  private readonly choose: HTMLButtonElement;
  private readonly invert: HTMLInputElement | null;

  constructor(section: HTMLElement, run: string) {
    super(section, run);
    this.choose = need("[data-try-choose]", section);
    this.invert = find("[data-try-invert]", section);
    const input = need<HTMLInputElement>("[data-try-file]", section);
    this.choose.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file) this.take(file);
      // The same file may be chosen again.
      input.value = "";
    });
    this.invert?.addEventListener("change", () => this.file && this.send(this.file));
    this.bindDrop(need("[data-try-drop]", section));
  }

  protected begin(): HTMLElement {
    return this.choose;
  }

  private bindDrop(area: HTMLElement): void {
    const over = (on: boolean): void => void area.classList.toggle("over", on);
    const keep = (event: DragEvent): void => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    };
    // Beside the area, a dropped image must not take the place of the page.
    document.addEventListener("dragover", keep);
    document.addEventListener("drop", keep);
    area.addEventListener("dragover", () => over(true));
    area.addEventListener("dragleave", () => over(false));
    area.addEventListener("drop", (event) => {
      over(false);
      const file = event.dataTransfer?.files[0];
      if (file) this.take(file);
    });
  }

  private take(file: File): void {
    this.file = file;
    say(need("[data-try-name]", this.section), file.name);
    say(this.choose, "Choose another");
    void this.preview(file);
    this.send(file);
  }

  /** A thumbnail, drawn here; an image that the browser cannot read has none. */
  private async preview(file: File): Promise<void> {
    const canvas = need<HTMLCanvasElement>("[data-try-preview]", this.section);
    let image: ImageBitmap | null = null;
    try {
      image = await createImageBitmap(file);
    } catch {
      canvas.hidden = true;
    }
    const paint = canvas.getContext("2d");
    if (!image || !paint || this.file !== file) return;
    paint.clearRect(0, 0, canvas.width, canvas.height);
    const scale = Math.min(canvas.width / image.width, canvas.height / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    paint.imageSmoothingEnabled = scale < 1;
    paint.drawImage(image, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
    image.close();
    canvas.setAttribute("aria-label", `The image ${file.name}`);
    canvas.hidden = false;
  }

  private send(file: File): void {
    if (file.size > LARGEST) {
      this.refuse(`${file.name} is larger than 10 MiB; choose a smaller image.`);
      this.clear();
      return;
    }
    const query = this.invert?.checked ? "?invert=true" : "";
    void this.ask(
      (signal) => upload<PredictionData>(`runs/${this.run}/predict${query}`, file, signal),
      (answer) => answer.kind === "classes" && this.show(answer),
    );
  }

  private show(answer: PredictionData & { kind: "classes" }): void {
    const table = need("[data-try-classes]", this.section);
    const rows = answer.classes.map((one) => row(one.name, one.probability));
    const rest = answer.of - answer.classes.length;
    if (rest > 0) {
      const left = 1 - answer.classes.reduce((sum, one) => sum + one.probability, 0);
      rows.push(row(`${rest} others together`, Math.max(0, left)));
    }
    need("tbody", table).replaceChildren(...rows);
    table.hidden = false;
    const hint = need("[data-try-hint]", this.section);
    say(hint, answer.hint ?? "");
    hint.hidden = !answer.hint;
    const first = answer.classes[0];
    this.tell(`${answer.fitted}; the network took ${value(answer.milliseconds)} ms`);
    if (first) announce(`${first.name}, ${likely(first.probability)}`);
  }
}

function likely(probability: number): string {
  return probability > 0 && probability < 0.0005 ? "< 0.1 %" : percent(probability);
}

function row(name: string, probability: number): HTMLElement {
  const bar = s(
    "svg",
    { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "track", width: 100, height: 10, rx: 1 }),
    s("rect", { width: (100 * probability).toFixed(2), height: 10, rx: 1 }),
  );
  const bars = h("td", { class: "bar" });
  bars.append(bar);
  return h("tr", {}, h("th", { scope: "row" }, name), bars, h("td", { class: "num", title: String(probability) }, likely(probability)));
}

class TryText extends Try {
  private readonly go: HTMLButtonElement;
  private readonly seed: HTMLInputElement;

  constructor(
    section: HTMLElement,
    run: string,
    private readonly form: HTMLFormElement,
  ) {
    super(section, run);
    this.go = need("[data-try-go]", form);
    this.seed = need("[data-try-seed]", form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    need("[data-try-another]", form).addEventListener("click", () => {
      if (!form.reportValidity()) return;
      this.seed.value = String(Number(this.seed.value) + 1);
      this.send();
    });
  }

  protected begin(): HTMLElement {
    return this.go;
  }

  private send(): void {
    const number = (name: string): number => Number(need<HTMLInputElement>(`[data-try-${name}]`, this.form).value);
    const prompt = need<HTMLTextAreaElement>("[data-try-prompt]", this.form).value;
    const body = { prompt, tokens: number("tokens"), temperature: number("temperature"), seed: number("seed") };
    void this.ask(
      (signal) => send<PredictionData>("POST", `runs/${this.run}/predict`, body, signal),
      (answer) => answer.kind === "continuation" && this.show(prompt, answer),
    );
  }

  private show(prompt: string, answer: PredictionData & { kind: "continuation" }): void {
    say(need("[data-try-given]", this.section), prompt);
    say(need("[data-try-added]", this.section), answer.text);
    const said = need("[data-try-said]", this.section);
    said.hidden = false;
    said.scrollTop = 0;
    need("[data-try-another]", this.form).hidden = false;
    const tokens = `${answer.added} token${answer.added === 1 ? "" : "s"} added in ${value(answer.milliseconds / 1000)} s`;
    this.tell(answer.cut_short ? `${tokens}, then the time was over` : tokens);
    announce("The text was continued");
  }
}
