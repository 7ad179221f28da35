// Studies, one or all of them: the figures follow the runs until the last has ended.

import { announce, find } from "./dom.ts";
import { reload } from "./morph.ts";
import { bindButtons } from "./run/actions.ts";

const active = (): boolean => find("[data-swap][data-active]") !== null;
const state = (): string => find("[data-state]")?.textContent ?? "";

const study = find("[data-study]")?.dataset["study"];
if (study) bindButtons("studies", study, () => void refresh());

if (active()) {
  const timer = setInterval(() => void refresh().then(() => active() || clearInterval(timer)), 4_000);
  document.addEventListener("visibilitychange", () => void (active() && refresh()));
}

async function refresh(): Promise<void> {
  const before = state();
  if ((await reload()) && state() !== before) announce(`the study is ${state()}`);
}
