// The list of runs: live rows, filters that stay in the URL.

import { announce, find, need, settled } from "./dom.ts";
import { reload } from "./morph.ts";

const search = find<HTMLInputElement>("[data-search]");
const states = new Map<string, string>();

if (location.hash === "#search") search?.focus();
remember();
setInterval(() => void refresh(), 2_000);
document.addEventListener("visibilitychange", () => void refresh());
search?.addEventListener("input", settled(250, () => void filter()));
search?.form?.addEventListener("submit", (event) => {
  event.preventDefault();
  void filter();
});

async function filter(): Promise<void> {
  const url = new URL(location.href);
  const text = search?.value.trim() ?? "";
  if (text) url.searchParams.set("q", text);
  else url.searchParams.delete("q");
  url.searchParams.delete("cursor");
  url.hash = "";
  history.replaceState(null, "", url);
  await refresh();
}

async function refresh(): Promise<void> {
  if (await reload()) report();
}

function rows(): HTMLElement[] {
  return [...need("[data-swap='runs']").querySelectorAll<HTMLElement>("[data-key][data-status]")];
}

function remember(): void {
  for (const row of rows()) states.set(row.dataset["key"] ?? "", row.dataset["status"] ?? "");
}

/** Says which runs changed state since the last look. */
function report(): void {
  const changes: string[] = [];
  for (const row of rows()) {
    const before = states.get(row.dataset["key"] ?? "");
    const now = row.dataset["status"] ?? "";
    if (before !== undefined && before !== now) changes.push(`${row.dataset["name"] ?? "run"}: ${now}`);
  }
  remember();
  if (changes.length > 0) announce(changes.join("; "));
}
