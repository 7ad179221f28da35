// The pages of data sets: dropping one, following its preparation, changing and deleting it.

import { Problem, send } from "./api.ts";
import { all, announce, find, h, need, prefix, say, toast } from "./dom.ts";
import { bytes, duration } from "./format.ts";
import { reload } from "./morph.ts";
import { amount, bar, follow } from "./datasets/coming.ts";
import { type Named, archive, filesChosen, filesOf } from "./datasets/tar.ts";
import { type Options, type Source, Upload } from "./datasets/upload.ts";

const followed = new Set<string>();
/** Uploads of this page, which the server's own cards would show a second time. */
const sending = new Set<string>();

const drop = find("[data-drop]");
if (drop) bindDrop(drop);
document.addEventListener("click", (event) => void click(event));
document.addEventListener("change", (event) => {
  if (event.target instanceof Element) event.target.closest<HTMLFormElement>("[data-sheet-form]")?.submit();
});
attach();
document.addEventListener("skein:tell", attach);
if (drop) setInterval(() => void (sending.size === 0 && reload()), 4_000);
addEventListener("beforeunload", (event) => {
  if (sending.size > 0) event.preventDefault();
});

function bindDrop(drop: HTMLElement): void {
  const file = need<HTMLInputElement>("[data-file]");
  const folder = need<HTMLInputElement>("[data-folder]");
  need("[data-choose='file']").addEventListener("click", () => file.click());
  need("[data-choose='folder']").addEventListener("click", () => folder.click());
  file.addEventListener("change", () => {
    const chosen = file.files?.[0];
    if (chosen) void add({ name: chosen.name, blob: chosen });
    file.value = "";
  });
  folder.addEventListener("change", () => {
    const files = folder.files;
    if (files && files.length > 0) void addFolder(files[0]?.webkitRelativePath.split("/")[0] ?? "folder", filesChosen(files));
    folder.value = "";
  });
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    void dropped(event.dataTransfer);
  });
}

async function dropped(data: DataTransfer | null): Promise<void> {
  // All must be asked for before anything is awaited: the list is emptied then.
  const items = [...(data?.items ?? [])].map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  for (const { entry, file } of items) {
    if (entry?.isDirectory) await addFolder(entry.name, await filesOf(entry as FileSystemDirectoryEntry));
    else if (file) await add({ name: file.name, blob: file });
  }
}

async function addFolder(name: string, files: Named[]): Promise<void> {
  if (files.length === 0) toast(`There is no file in ${name}.`, "bad");
  else await add({ name: `${name}.tar`, blob: archive(files) });
}

async function add(source: Source): Promise<void> {
  const says = h("p", { "data-says": true }, "Beginning");
  const cancel = h("button", { type: "button" }, "Cancel");
  const box = h(
    "div",
    { class: "coming", "data-upload": source.name },
    h("strong", {}, source.name),
    says,
    h("progress", { max: 1, value: 0, "data-bar": true, "aria-label": `Upload of ${source.name}` }),
    h("div", { class: "buttons" }, cancel),
  );
  need("[data-uploads]").append(box);
  const upload = new Upload(source, {
    moved(sent, total, rate) {
      bar(box, sent / total);
      say(says, amount(sent, total, ` · ${bytes(rate)}/s · ${duration((total - sent) / rate)} left`));
    },
    waits: (reason) => say(says, `Waiting for the server: ${reason}`),
  });
  cancel.addEventListener("click", () => void upload.cancel());
  sending.add(source.name);
  try {
    const id = await upload.run(options());
    sending.delete(source.name);
    box.remove();
    announce(id ? `${source.name} is uploaded` : `${source.name} is cancelled`);
    if (id && sending.size === 0) location.assign(`${prefix}/datasets/${id}`);
    else await reload();
  } catch (error) {
    sending.delete(source.name);
    box.replaceChildren(refused(source.name, error), dismiss(box));
  }
}

function options(): Options {
  const number = (selector: string): number | null => {
    const text = find<HTMLInputElement>(selector)?.value.trim() ?? "";
    return text === "" ? null : Number(text);
  };
  return { size: number("[data-size]"), share: number("[data-share]") };
}

function refused(name: string, error: unknown): HTMLElement {
  return h("div", { class: "notice bad", role: "alert" }, h("strong", {}, `${name} was not added`), h("p", {}, reason(error)));
}

function dismiss(box: Element): HTMLElement {
  const button = h("button", { type: "button" }, "Dismiss");
  button.addEventListener("click", () => box.remove());
  return h("div", { class: "buttons" }, button);
}

function reason(error: unknown): string {
  if (!(error instanceof Problem)) return String(error);
  if (error.errors.length > 0) return error.errors.map((one) => `${one.field} ${one.detail}`.trim()).join("; ");
  return error.message;
}

/** Follows everything on the page that is on its way. */
function attach(): void {
  for (const box of all("[data-coming]")) {
    const id = box.dataset["coming"] ?? "";
    const state = box.dataset["state"] ?? "";
    if (followed.has(id) || state === "failed" || state === "receiving") continue;
    followed.add(id);
    follow(id, box, () => {
      followed.delete(id);
      announce("the data set is prepared");
      void reload();
    });
  }
}

async function click(event: Event): Promise<void> {
  const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>("button") : null;
  if (!button) return;
  const id = find("[data-dataset]")?.dataset["dataset"] ?? "";
  try {
    await act(button, id);
  } catch (error) {
    toast(reason(error), "bad");
  }
}

async function act(button: HTMLButtonElement, id: string): Promise<void> {
  const data = button.dataset;
  if (data["fetch"] !== undefined) {
    await send("POST", "datasets", { fetch: data["fetch"] });
    await reload();
  } else if (data["abandon"] !== undefined) {
    await send("DELETE", `datasets/${data["abandon"]}/incoming`);
    if (id && !find("[aria-labelledby='versions']")) location.assign(`${prefix}/datasets`);
    else await reload();
  } else if (data["redraw"] !== undefined) {
    const image = need<HTMLImageElement>("[data-augmented]");
    const address = new URL(image.src);
    address.searchParams.set("seed", String(Math.floor(Math.random() * 1e9)));
    image.src = address.href;
  } else if (data["rename"] !== undefined) {
    const title = prompt("Name of the data set", data["rename"]);
    if (title) await send("PATCH", `datasets/${id}`, { title });
    await reload();
  } else if (data["resize"] !== undefined) {
    const size = prompt("Side of the images in pixels; runs that exist keep their version");
    if (size) await send("PATCH", `datasets/${id}`, { size: Number(size) });
    await reload();
  } else if (data["delete"] !== undefined) {
    const runs = Number(data["delete"]);
    const kept = runs > 0 ? ` ${runs} runs used it: they keep their results, but cannot go on or be repeated.` : "";
    if (!confirm(`Delete this data set with all its versions?${kept}`)) return;
    await send("DELETE", `datasets/${id}`);
    location.assign(`${prefix}/datasets`);
  }
}
