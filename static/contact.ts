// Whether the server is heard. Every page asks again and again for what it shows; where no answer comes, or none
// that counts, a line in place of the devices says since when, so that old figures do not look alive.

import { find, h, prefix } from "./dom.ts";

/** An answer is waited for so long, in ms. */
const PATIENCE = 5_000;

/** A page, or a part of one, as the server answered it. */
export interface Answer {
  ok: boolean;
  status: number;
  text: string;
}

/** When the page was loaded. */
const loadedAt = Date.now();

/** When the server was last heard. It stands on the page, since every script of it has a copy of this module. */
const heardAt = (): number => Number(find("[data-contact]")?.dataset["heard"] ?? loadedAt);

/** Whether the server was heard within the last so many ms. */
export function heardSince(ms: number): boolean {
  return Date.now() - heardAt() < ms;
}

/** The HTML at an address; nothing where the server is not heard or wants a log-in. */
export async function ask(address: string): Promise<Answer | null> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(address, { credentials: "same-origin", headers: { accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE) });
    text = await answer.text();
  } catch {
    silent();
    return null;
  }
  if (answer.status === 401 || new URL(answer.url).pathname === `${prefix}/login`) {
    loggedOut();
    return null;
  }
  // A proxy answers for a server that is gone.
  if (answer.status >= 500) {
    silent();
    return null;
  }
  const line = find("[data-contact]");
  if (line) line.dataset["heard"] = String(Date.now());
  show();
  return { ok: answer.ok, status: answer.status, text };
}

function silent(): void {
  const since = new Date(heardAt());
  const time = h("time", { datetime: since.toISOString(), title: since.toLocaleString() }, since.toLocaleTimeString());
  show("Nothing heard from the server since ", time, "; what is shown may be old.");
}

function loggedOut(): void {
  const here = location.pathname.slice(prefix.length) + location.search;
  show("Your session has ended. ", h("a", { href: `${prefix}/login?next=${encodeURIComponent(here)}` }, "Log in again"));
}

/** Puts the line there; without words it goes. */
function show(...words: (Node | string)[]): void {
  const line = find("[data-contact]");
  if (!line) return;
  line.hidden = words.length === 0;
  const text = words.map((word) => (typeof word === "string" ? word : word.textContent)).join("");
  if (line.textContent !== text) line.replaceChildren(h("span", {}, ...words));
}
