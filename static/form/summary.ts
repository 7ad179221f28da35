// The line that says what a folded section holds.

import { need, say } from "../dom.ts";
import type { Field, Fields } from "./fields.ts";

export function summarise(section: Element, fields: Fields): void {
  const inside = fields.within(section).filter((field) => field.applies);
  const told = inside.filter((field) => field.required || field.changed || field.box.hasAttribute("data-told"));
  const parts = told.map(words).filter((part) => part !== "");
  say(need("[data-says]", section), parts.join(" · "));
}

/** A required field speaks for itself; any other is named. */
function words(field: Field): string {
  if (field.text === "") return field.box.dataset["empty"] ?? "";
  if (field.control instanceof HTMLSelectElement) return field.shown;
  const label = /^[A-Z]{2}/.test(field.label) ? field.label : field.label.toLowerCase();
  // "2048 training images" rather than "training images 2048 images".
  return field.unit && label.includes(field.unit) ? `${field.text} ${label}` : `${label} ${field.shown}`;
}
