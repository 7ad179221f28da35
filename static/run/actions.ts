// What a person can do to a run: rename, cancel, resume, delete.

import { Problem, type RunView, send } from "../api.ts";
import { find, need, prefix, say, toast } from "../dom.ts";

export function bindActions(run: string, changed: (view: RunView) => void): void {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>("[data-act]") : null;
    if (button) void act(run, button, changed);
  });
  bindRename(run);
}

async function act(run: string, button: HTMLButtonElement, changed: (view: RunView) => void): Promise<void> {
  const action = button.dataset["act"] ?? "";
  const question = find<HTMLDialogElement>(`#confirm-${action}`);
  if (question && !(await confirmed(question))) return;
  button.disabled = true;
  try {
    if (action === "delete") {
      await send("DELETE", `runs/${run}`);
      location.assign(`${prefix}/runs`);
      return;
    }
    changed(await send<RunView>("POST", `runs/${run}/${action}`));
  } catch (error) {
    toast(error instanceof Problem ? error.words : String(error), "bad");
  }
  button.disabled = false;
}

function confirmed(dialog: HTMLDialogElement): Promise<boolean> {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function bindRename(run: string): void {
  const form = need<HTMLFormElement>("[data-rename]");
  const title = need("[data-name]");
  const open = need<HTMLButtonElement>("[data-rename-open]");
  const input = need<HTMLInputElement>("input", form);
  const edit = (on: boolean): void => {
    form.parentElement?.toggleAttribute("data-editing", on);
    form.hidden = !on;
    title.hidden = on;
    open.hidden = on;
    if (on) {
      input.value = title.textContent ?? "";
      input.select();
    } else {
      open.focus();
    }
  };
  open.addEventListener("click", () => edit(true));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") edit(false);
  });
  find("[data-rename-cancel]", form)?.addEventListener("click", () => edit(false));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void rename(run, input.value.trim(), title).then(() => edit(false));
  });
}

async function rename(run: string, name: string, title: HTMLElement): Promise<void> {
  if (name === "" || name === title.textContent) return;
  try {
    const answer = await send<RunView>("PATCH", `runs/${run}`, { name });
    say(title, answer.name);
    document.title = `${answer.name} · Skein`;
  } catch (error) {
    toast(error instanceof Problem ? error.words : String(error), "bad");
  }
}
