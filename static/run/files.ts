// The files of the result package.

import { send } from "../api.ts";
import { copy, find, h, need } from "../dom.ts";
import { bytes } from "../format.ts";

interface Artifact {
  name: string;
  bytes: number;
  sha256: string;
  url: string;
  about: string;
}

export async function loadFiles(section: HTMLElement, run: string): Promise<void> {
  const { files } = await send<{ files: Artifact[] }>("GET", `runs/${run}/artifacts`);
  const wait = find("[data-files-wait]", section);
  if (wait) wait.hidden = files.length > 0;
  const table = need("[data-files]", section);
  table.hidden = files.length === 0;
  need("tbody", table).replaceChildren(...files.map(row));
}

function row(file: Artifact): HTMLElement {
  const button = h("button", { type: "button", class: "plain small", title: file.sha256, "aria-label": `Copy the SHA-256 of ${file.name}` }, file.sha256.slice(0, 12));
  button.classList.add("digest");
  button.addEventListener("click", () => void copy(file.sha256, button));
  return h(
    "tr",
    {},
    h("td", {}, h("a", { href: file.url, download: file.name }, file.name)),
    h("td", { class: "c-about muted" }, file.about),
    h("td", { class: "num", title: `${file.bytes.toLocaleString("en")} bytes` }, bytes(file.bytes)),
    h("td", { class: "num c-digest" }, button),
  );
}
