// Keyboard: `/` search, `n` new run, `g r` runs, `j`/`k` move, `Enter` open, `?` help.

import { all, find, prefix } from "./dom.ts";

export function bindKeys(): void {
  document.addEventListener("keydown", onKey);
  find("[data-help]")?.addEventListener("click", help);
}

function onKey(event: KeyboardEvent): void {
  if (event.key === "Escape") {
    for (const menu of all<HTMLDetailsElement>("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (takesKeys(event.target as HTMLElement)) return;
  const action: (() => void) | undefined = {
    "/": search,
    n: () => location.assign(`${prefix}/runs/new`),
    r: () => location.assign(`${prefix}/runs`),
    j: () => move(1),
    k: () => move(-1),
    "?": help,
  }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

/** Whether keys belong to this element. What was focused in a dialog stays so for a moment after it closed. */
function takesKeys(target: HTMLElement): boolean {
  if (target.closest("dialog:not([open])")) return false;
  return target.closest("input, select, textarea, dialog, [contenteditable]") !== null;
}

function search(): void {
  const field = find<HTMLInputElement>("[data-search]");
  if (field) field.focus();
  else location.assign(`${prefix}/runs#search`);
}

/** Moves the focus along the rows of a list; Enter then follows the link by itself. */
function move(by: number): void {
  const links = all<HTMLElement>("[data-row-link]");
  if (links.length === 0) return;
  const at = links.indexOf(document.activeElement as HTMLElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
  links[next]?.focus();
}

function help(): void {
  const dialog = find<HTMLDialogElement>("#keys");
  if (dialog && !dialog.open) dialog.showModal();
}
