// The form for a new run: conditional fields, live check, cost, the same run as text.

import { type Violation, Problem, create, send } from "./api.ts";
import { all, announce, find, need, prefix, say, settled, toast } from "./dom.ts";
import { Fields } from "./form/fields.ts";
import { Snippets } from "./form/snippets.ts";
import { type Preflight, showCost, staleCost } from "./form/cost.ts";
import { draw } from "./drawing.ts";
import { summarise } from "./form/summary.ts";

const form = need<HTMLFormElement>("#new-run");
const start = need<HTMLButtonElement>("[data-submit]");
const fields = new Fields(form);
const snippets = new Snippets(need("[data-snippets]"));
let checking: AbortController | null = null;
let sending = false;

const later = settled(200, () => void check());

form.addEventListener("input", changed);
form.addEventListener("change", changed);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit();
});
changed();

function changed(): void {
  fields.apply();
  for (const section of all("[data-section]", form)) {
    section.hidden = fields.within(section).every((field) => !field.applies);
    summarise(section, fields);
  }
  snippets.spec(fields.spec());
  later();
}

async function check(): Promise<void> {
  checking?.abort();
  const mine = new AbortController();
  checking = mine;
  try {
    const answer = await send<Preflight>("POST", "runs/preflight", fields.spec(), mine.signal);
    show([]);
    fields.remarks(answer.warnings);
    showCost(answer);
    drawSpace(answer.drawing);
    snippets.toml(answer.toml);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (error instanceof Problem && error.status === 422) {
      show(error.errors);
    } else if (error instanceof Problem) {
      whole(error.words);
    } else {
      throw error;
    }
    fields.remarks([]);
    staleCost();
  }
}

/** Puts every violation beside its field and counts them at the button. */
function show(violations: Violation[]): void {
  const homeless = fields.flaws(violations);
  whole(homeless.map((violation) => `${violation.field} ${violation.detail}`.trim()).join("; "));
  const count = violations.length;
  const text = count === 0 ? "" : count === 1 ? "1 field needs attention" : `${count} fields need attention`;
  const counter = need("[data-flaws]");
  if (counter.textContent !== text) announce(text);
  say(counter, text);
  start.disabled = sending;
}

function whole(text: string): void {
  const box = need("[data-whole]");
  box.hidden = text === "";
  say(box, text);
}

async function submit(): Promise<void> {
  if (sending) return;
  sending = true;
  start.disabled = true;
  try {
    const run = await create<{ id: string }>("runs", fields.spec());
    location.assign(`${prefix}/runs/${run.id}`);
    return;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.errors.length > 0) {
      show(error.errors);
      fields.focusFlaw();
    } else {
      whole(error.words);
      toast(error.words, "bad");
    }
  }
  sending = false;
  start.disabled = false;
}

find("[data-reset-all]")?.addEventListener("click", () => {
  fields.reset();
  changed();
});

/** The picture of the space with its options, in the page's own type. */
let drawn = "";
function drawSpace(drawing: string): void {
  const box = find("[data-space-drawing]");
  if (box && drawing !== drawn && draw(box, drawing)) drawn = drawing;
}
