// The same run as JSON, TOML, for curl and for the command line.

import { all, copy, need, prefix } from "../dom.ts";
import type { Spec } from "./fields.ts";

export class Snippets {
  private readonly texts = new Map<string, string>();
  private readonly code: HTMLElement;
  private shown = "json";

  constructor(box: HTMLElement) {
    this.code = need("[data-code]", box);
    const tabs = all<HTMLButtonElement>("[role=tab]", box);
    for (const [index, tab] of tabs.entries()) {
      tab.addEventListener("click", () => this.pick(tabs, index));
      tab.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (by === undefined) return;
        event.preventDefault();
        this.pick(tabs, (index + by + tabs.length) % tabs.length);
      });
    }
    const button = need("[data-copy]", box);
    button.addEventListener("click", () => void copy(this.texts.get(this.shown) ?? "", button));
  }

  private pick(tabs: HTMLButtonElement[], index: number): void {
    for (const [at, tab] of tabs.entries()) {
      tab.setAttribute("aria-selected", String(at === index));
      tab.tabIndex = at === index ? 0 : -1;
    }
    const tab = tabs[index];
    if (!tab) return;
    tab.focus();
    this.shown = tab.dataset["format"] ?? "json";
    this.code.setAttribute("aria-labelledby", tab.id);
    this.draw();
  }

  spec(spec: Spec): void {
    const compact = JSON.stringify(spec);
    const address = `${location.origin}${prefix}/api/v1/runs`;
    this.texts.set("json", JSON.stringify(spec, null, 2));
    this.texts.set("curl", `curl -X POST ${address} \\\n  -H 'content-type: application/json' \\\n  -d '${compact.replaceAll("'", "'\\''")}'`);
    const server = location.port === "7878" && prefix === "" ? "" : `export SKEIN_URL=${location.origin}${prefix}\n`;
    this.texts.set("cli", `# save the TOML as spec.toml, then\n${server}skein search -f spec.toml --follow`);
    this.draw();
  }

  toml(text: string): void {
    this.texts.set("toml", text);
    this.draw();
  }

  private draw(): void {
    const text = this.texts.get(this.shown) ?? "";
    if (this.code.textContent !== text) this.code.textContent = text;
  }
}
