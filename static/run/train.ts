// An architecture of this run, trained again in a run of its own.

import { Problem, type RunView, create } from "../api.ts";
import { find, prefix, say } from "../dom.ts";

interface Asked {
  preset: string;
  architecture?: string;
  epochs?: number;
}

/** The card comes and goes with the run's state, so that the page listens. */
export function bindTraining(run: string): void {
  document.addEventListener("submit", (event) => {
    const form = event.target instanceof HTMLFormElement ? event.target : null;
    const preset = form?.dataset["trainAs"];
    if (!form || preset === undefined) return;
    event.preventDefault();
    void train(run, form, preset);
  });
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("[data-train-form]") : null;
    if (!link) return;
    const address = new URL(link.href);
    const text = given();
    if (text) address.searchParams.set("architecture", text);
    link.href = address.href;
  });
}

/** The architecture, if it is another than what the run found. */
function given(): string {
  const area = find<HTMLTextAreaElement>("[data-train-text]");
  return area && area.value.trim() !== area.defaultValue.trim() ? area.value.trim() : "";
}

async function train(run: string, form: HTMLFormElement, preset: string): Promise<void> {
  const button = find<HTMLButtonElement>("button", form);
  const asked: Asked = { preset };
  const epochs = new FormData(form).get("epochs");
  if (epochs !== null) asked.epochs = Number(epochs);
  const text = given();
  if (text) asked.architecture = text;
  if (button) button.disabled = true;
  flaw("");
  try {
    const made = await create<RunView>(`runs/${run}/train`, asked);
    location.assign(`${prefix}/runs/${made.id}`);
  } catch (error) {
    flaw(words(error));
    if (button) button.disabled = false;
  }
}

function words(error: unknown): string {
  if (!(error instanceof Problem)) return String(error);
  const all = error.errors.map((one) => `${one.field === "search.optimizer.architecture" ? "" : `${one.field}: `}${one.detail}`);
  return all.length > 0 ? all.join("; ").replaceAll("`", "") : error.words;
}

function flaw(detail: string): void {
  const box = find("[data-train-flaw]");
  if (!box) return;
  say(box, detail);
  box.hidden = detail === "";
}
