// On every page: theme, keys, menus, the strip, relative times.

import { ask } from "./contact.ts";
import { bindKeys } from "./keys.ts";
import { all, announce, find, prefix, toast } from "./dom.ts";
import { ago } from "./format.ts";
import { type Violation, Problem, create } from "./api.ts";
import { morph } from "./morph.ts";

bindKeys();
for (const button of all<HTMLButtonElement>("[data-theme-switch]")) button.addEventListener("click", switchTheme);
document.addEventListener("click", closeMenus);
document.addEventListener("click", (event) => void startExample(event));
tell();
setInterval(tell, 15_000);
setInterval(() => void refreshStrip(), 3_000);
document.addEventListener("visibilitychange", () => void refreshStrip());

function switchTheme(): void {
  const root = document.documentElement;
  const dark = root.dataset["theme"] ? root.dataset["theme"] === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const next = dark ? "light" : "dark";
  root.dataset["theme"] = next;
  try {
    localStorage.setItem("skein-theme", next);
  } catch {
    // The choice then holds for this page only.
  }
  announce(`${next} theme`);
  document.dispatchEvent(new Event("skein:theme"));
}

function closeMenus(event: Event): void {
  for (const menu of all<HTMLDetailsElement>("details.menu[open]")) {
    if (!(event.target instanceof Node && menu.contains(event.target))) menu.open = false;
  }
}

/** Relative times; the absolute one stays in the title. */
function tell(): void {
  for (const time of all<HTMLTimeElement>("time[data-ago]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.textContent = ago(at);
    time.title = at.toLocaleString();
  }
  for (const time of all<HTMLTimeElement>("time[data-at]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = at.toLocaleString();
  }
}
document.addEventListener("skein:tell", tell);

/** Devices and what runs on them, from the same template as the page. */
async function refreshStrip(): Promise<void> {
  const strip = find("[data-strip]");
  if (!strip || document.hidden) return;
  const answer = await ask(`${prefix}/strip`);
  if (answer?.ok) morph(strip, answer.text);
}

/** An example card starts a real run. */
async function startExample(event: Event): Promise<void> {
  const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>("[data-start]") : null;
  if (!button) return;
  button.disabled = true;
  try {
    const run = await create<{ id: string }>("runs", JSON.parse(button.dataset["start"] ?? "{}"));
    location.assign(`${prefix}/runs/${run.id}`);
  } catch (error) {
    button.disabled = false;
    toast(reason(error), "bad");
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Problem)) return String(error);
  const details = error.errors.map((violation: Violation) => `${violation.field} ${violation.detail}`);
  return [error.words, ...details].join(" · ");
}
