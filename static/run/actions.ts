// What a person can do to a run: rename, cancel, resume, delete; some of it also to a study.

import { Problem, type RunView, send } from "../api.ts";
import { find, need, prefix, say, toast } from "../dom.ts";

export function bindActions(run: string, changed: (view: RunView) => void): void {
  bindButtons("runs", run, changed);
  bindRename(run);
}

/** Lets buttons `[data-act]` act on one of `runs` or `studies`, after the question in `#confirm-…`, if there is one. */
export function bindButtons<T>(kind: string, id: string, changed: (answer: T) => void): void {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>("[data-act]") : null;
    if (button) void act(kind, id, button, changed);
  });
}

async function act<T>(kind: string, id: string, button: HTMLButtonElement, changed: (answer: T) => void): Promise<void> {
  const action = button.dataset["act"] ?? "";
  const question = find<HTMLDialogElement>(`#confirm-${action}`);
  if (question && !(await confirmed(question))) return;
  button.disabled = true;
  try {
    if (action === "delete") {
      await send("DELETE", `${kind}/${id}`);
      location.assign(`${prefix}/${kind}`);
      return;
    }
    changed(await send<T>("POST", `${kind}/${id}/${action}`));
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
