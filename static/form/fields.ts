// The controls of the form as a specification, and back.

import type { Violation } from "../api.ts";
import { all, find, need, say } from "../dom.ts";

export type Scalar = string | number | boolean;
export type List = (Scalar | List)[];
type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
export type Spec = { [key: string]: Scalar | List | Spec };

export class Field {
  readonly path: string;
  readonly control: Control;
  readonly label: string;
  readonly unit: string;
  readonly required: boolean;
  private readonly when: { path: string; values: string[] } | null;
  private readonly kind: string;
  /** Whether it does nothing where one architecture is given. */
  /** Optimizers under which the field does nothing. */
  private readonly idle: string[];
  /** Whether it follows from the data set, and is neither shown nor sent. */
  private readonly derived: boolean;
  private readonly defaults: Record<string, string>;
  /** Path of the field that the default depends on, or of two with a comma; the first counts more. */
  private readonly defaultsBy: string;
  /** What was last filled in by default; a value that differs is the person's own. */
  private filled: string;

  constructor(readonly box: HTMLElement) {
    const data = box.dataset;
    this.path = data["path"] ?? "";
    this.kind = data["kind"] ?? "text";
    this.unit = data["unit"] ?? "";
    this.label = data["label"] ?? this.path;
    this.required = data["required"] !== undefined;
    this.idle = data["idle"]?.split(" ") ?? [];
    this.derived = data["derived"] !== undefined;
    this.defaults = JSON.parse(data["defaults"] ?? "{}") as Record<string, string>;
    this.defaultsBy = data["defaultsBy"] ?? "";
    this.when = data["whenPath"] ? { path: data["whenPath"], values: (data["whenValues"] ?? "").split(",") } : null;
    this.control = need<Control>("input, select, textarea", box);
    this.filled = data["filled"] ?? "";
    find("[data-reset]", box)?.addEventListener("click", () => this.reset(true));
  }

  get text(): string {
    if (this.control instanceof HTMLInputElement && this.control.type === "checkbox") return String(this.control.checked);
    return this.control.value.trim();
  }

  get applies(): boolean {
    return !this.box.hidden;
  }

  /** Whether the value is not the default's. */
  get changed(): boolean {
    return this.text !== this.filled && this.text !== "";
  }

  /** The value as a person reads it. */
  get shown(): string {
    if (this.control instanceof HTMLSelectElement) return this.control.selectedOptions[0]?.text ?? "";
    if (this.kind === "flag") return this.text === "true" ? "yes" : "no";
    return this.unit && this.text ? `${this.text} ${this.unit}` : this.text;
  }

  get value(): Scalar | List {
    const text = this.text;
    switch (this.kind) {
      case "flag":
        return text === "true";
      case "integer":
      case "number":
        return number(text);
      case "names":
        return parts(text, ",");
      case "integers":
        return text === "none" ? [] : parts(text, ",").map(number);
      case "lists":
        return parts(text, ";").map((list) => parts(list, ",").map(number));
      default:
        return text;
    }
  }

  /** Shows or hides the field, and follows defaults that depend on another field. */
  apply(values: (path: string) => string): void {
    const idle = this.idle.includes(values("search.optimizer.kind"));
    this.box.hidden = this.derived || idle || (this.when !== null && !this.when.values.includes(values(this.when.path)));
    this.control.disabled = this.box.hidden;
    // The first of them stands for any value that is not listed.
    const stands = this.defaultsBy ? this.defaultsBy.split(",").map((path) => this.defaults[values(path)]) : [];
    const next = stands.find((value) => value !== undefined) ?? this.defaults["_"];
    if (next !== undefined && next !== this.filled) {
      if (!this.changed) this.write(next);
      this.filled = next;
    }
    const reset = find("[data-reset]", this.box);
    if (reset) reset.hidden = !this.changed || this.required;
  }

  reset(tell = false): void {
    this.write(this.filled);
    if (tell) this.control.dispatchEvent(new Event("input", { bubbles: true }));
    if (tell) this.control.focus();
  }

  private write(text: string): void {
    if (this.control instanceof HTMLInputElement && this.control.type === "checkbox") this.control.checked = text === "true";
    else this.control.value = text;
  }

  flaw(detail: string): void {
    const box = need("[data-flaw]", this.box);
    say(box, detail.replaceAll("`", ""));
    box.hidden = detail === "";
    if (detail) this.control.setAttribute("aria-invalid", "true");
    else this.control.removeAttribute("aria-invalid");
  }

  /** What the field was taken for, where another thing may be meant. */
  remark(detail: string): void {
    const box = need("[data-remark]", this.box);
    say(box, detail);
    box.hidden = detail === "";
  }
}

export class Fields {
  readonly list: Field[];

  constructor(private readonly form: HTMLElement) {
    this.list = all("[data-path]", form).map((box) => new Field(box));
  }

  at(path: string): Field | undefined {
    return this.list.find((field) => field.path === path);
  }

  within(section: Element): Field[] {
    return this.list.filter((field) => section.contains(field.box));
  }

  apply(): void {
    const values = (path: string): string => this.at(path)?.text ?? "";
    for (const field of this.list) field.apply(values);
  }

  reset(): void {
    for (const field of this.list) if (!field.required) field.reset();
  }

  /** What was asked for: required fields and those that differ from their default. */
  spec(): Spec {
    const spec: Spec = {};
    for (const field of this.list) {
      if (field.applies && (field.required || field.changed)) put(spec, field.path.split("."), field.value);
    }
    return spec;
  }

  /** Marks fields; returns the violations that belong to none. */
  flaws(violations: Violation[]): Violation[] {
    for (const field of this.list) {
      const own = violations.filter((violation) => violation.field === field.path);
      field.flaw(own.map((violation) => violation.detail).join("; "));
    }
    for (const section of all("[data-section]", this.form)) {
      const count = section.querySelectorAll("[aria-invalid]").length;
      say(need("[data-section-flaws]", section), count === 0 ? "" : `${count} to fix`);
    }
    return violations.filter((violation) => !this.at(violation.field)?.applies);
  }

  remarks(warnings: Violation[]): void {
    for (const field of this.list) {
      field.remark(warnings.filter((one) => one.field === field.path).map((one) => one.detail).join("; "));
    }
  }

  focusFlaw(): void {
    const control = find("[aria-invalid]", this.form);
    for (let at = control?.closest("details"); at; at = at.parentElement?.closest("details")) at.open = true;
    control?.focus();
  }
}

/** A number, or the text as it stands if it is none. */
function number(text: string): Scalar {
  const value = Number(text);
  return text !== "" && Number.isFinite(value) ? value : text;
}

function parts(text: string, separator: string): string[] {
  return text.split(separator).map((part) => part.trim()).filter((part) => part !== "");
}

function put(target: Spec, path: string[], value: Scalar | List): void {
  const [first, ...rest] = path;
  if (first === undefined) return;
  if (rest.length === 0) {
    target[first] = value;
    return;
  }
  const inner = (target[first] ??= {});
  if (typeof inner === "object" && !Array.isArray(inner)) put(inner, rest, value);
}
