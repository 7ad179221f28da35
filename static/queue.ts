// The queue: what works and what waits, live; and the check of the way to a cluster.

import { Problem, send } from "./api.ts";
import { announce, find, toast } from "./dom.ts";
import { reload } from "./morph.ts";

setInterval(() => void refresh(), 2_000);
document.addEventListener("visibilitychange", () => void refresh());
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>("[data-check]") : null;
  if (button) void check(button);
});

async function refresh(): Promise<void> {
  const ran = find<HTMLButtonElement>("[data-check]")?.disabled ?? false;
  if ((await reload()) && ran && find<HTMLButtonElement>("[data-check]")?.disabled === false) announce("the cluster has been checked");
}

async function check(button: HTMLButtonElement): Promise<void> {
  button.disabled = true;
  try {
    await send("POST", "cluster/check");
    await refresh();
  } catch (error) {
    button.disabled = false;
    toast(error instanceof Problem ? error.words : String(error), "bad");
  }
}
