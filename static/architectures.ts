// The architectures of a run at work: the page follows the search.

import { all, announce, find, need } from "./dom.ts";
import { reload } from "./morph.ts";

/** Lines that a person has chosen, which an update must not take back. */
const chosen = new Map<string, string>();

const active = (): boolean => find("[data-swap='architectures'][data-active]") !== null;
const newest = (): string => find("[data-newest]")?.textContent ?? "";

document.addEventListener("change", ({ target }) => {
  if (!(target instanceof HTMLInputElement && target.type === "radio")) return;
  chosen.set(target.name, target.closest<HTMLElement>("[data-key]")?.dataset["key"] ?? "");
});

if (active()) {
  const timer = setInterval(() => void refresh().then(() => active() || clearInterval(timer)), 3_000);
  document.addEventListener("visibilitychange", () => void refresh());
}

async function refresh(): Promise<void> {
  const before = newest();
  if (!active() || !(await reload())) return;
  for (const [name, key] of chosen) choose(name, key);
  if (newest() !== before) announce(`${newest()} is listed`);
}

function choose(name: string, key: string): void {
  const line = all("[data-key]", need("[data-swap='architectures']")).find((line) => line.dataset["key"] === key);
  const input = line && find<HTMLInputElement>(`input[name="${name}"]`, line);
  if (input) input.checked = true;
}
