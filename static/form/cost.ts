// What the run will cost, as far as it can be told before it starts.

import type { Cost, Violation } from "../api.ts";
import { find, need, s, say } from "../dom.ts";
import { bytes, short } from "../format.ts";

export interface SpaceInfo {
  preset: string;
  title: string;
  architectures: string;
  choices: number;
  min_params: number;
  max_params: number;
  cost: { min: Cost; max: Cost };
  entangled_params: number;
  shared_params: number;
}

export interface Preflight {
  spec: { search: { weights: string; epochs?: number; batch_size: number; optimizer: { kind: string } }; resources: { precision: string } };
  space: SpaceInfo;
  steps: number;
  finalist_steps: number;
  warnings: Violation[];
  toml: string;
  drawing: string;
}

export function showCost({ spec, space, steps, finalist_steps: finals }: Preflight): void {
  const panel = need("[data-cost]");
  const width = spec.resources.precision === "float64" ? 8 : 4;
  const own = spec.search.weights === "shared" ? space.shared_params : space.entangled_params;
  const set = (name: string, text: string): void => say(find(`[data-cost-of="${name}"]`, panel), text);
  const { epochs, optimizer } = spec.search;
  const given = optimizer.kind === "fixed";
  set("architectures", given ? "1, given" : `${count(space.architectures)} from ${space.choices} choices`);
  set("params", range(space.min_params, space.max_params));
  set("macs", range(space.cost.min.macs, space.cost.max.macs));
  set("steps", epochs === undefined ? "none" : `${steps.toLocaleString("en")} in ${epochs.toLocaleString("en")} epochs`);
  set("finalists", finals.toLocaleString("en"));
  for (const part of panel.querySelectorAll<HTMLElement>("[data-cost-finalists]")) part.hidden = finals === 0;
  set("memory", `${bytes(own * width * 3)}`);
  set("entangled", short(space.entangled_params));
  set("shared", short(space.shared_params));
  const most = Math.max(space.entangled_params, space.shared_params);
  bar("entangled", space.entangled_params / most);
  bar("shared", space.shared_params / most);
  need("[data-compare]", panel).hidden = epochs === undefined;
  panel.removeAttribute("aria-busy");
}

/** The numbers belong to the last valid state of the form. */
export function staleCost(): void {
  need("[data-cost]").setAttribute("aria-busy", "true");
}

function range(low: number, high: number): string {
  return low === high ? short(low) : `${short(low)} – ${short(high)}`;
}

function count(decimal: string): string {
  return decimal.length > 12 ? `about 10^${decimal.length - 1}` : Number(decimal).toLocaleString("en");
}

function bar(name: string, share: number): void {
  const svg = need<SVGElement>(`[data-bar="${name}"]`);
  svg.replaceChildren(s("rect", { class: name, width: (100 * share).toFixed(1), height: 8, rx: 1 }));
}
