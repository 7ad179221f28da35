// Small helpers around the document.

/** What the server lets the page know: the prefix of every address. */
export const prefix = document.documentElement.dataset["prefix"] ?? "";

export function find<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T | null {
  return within.querySelector<T>(selector);
}

export function all<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T[] {
  return [...within.querySelectorAll<T>(selector)];
}

/** An element that the template is known to contain. */
export function need<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T {
  const found = within.querySelector<T>(selector);
  if (!found) throw new Error(`the page lacks ${selector}`);
  return found;
}

type Child = Node | string | null | undefined | false;

/** `h("a", { href: "/" }, "text")`; attributes that are `false` or `undefined` are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number | boolean | undefined> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  assign(element, attributes, children);
  return element;
}

/** The same for SVG. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number | boolean | undefined> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  assign(element, attributes, children);
  return element;
}

function assign(element: Element, attributes: Record<string, string | number | boolean | undefined>, children: Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false));
}

/** Sets text only where it differs, so that selections and readers are left in peace. */
export function say(element: Element | null, text: string): void {
  if (element && element.textContent !== text) element.textContent = text;
}

/** Tells assistive technology of a change of state. */
export function announce(text: string): void {
  say(find("#announcer"), text);
}

/** A message in the corner; errors stay until the next one. */
export function toast(text: string, tone: "info" | "bad" = "info"): void {
  find(".toast")?.remove();
  const note = h("div", { class: `toast ${tone === "bad" ? "bad" : ""}`, role: tone === "bad" ? "alert" : "status" }, text);
  document.body.append(note);
  if (tone === "info") setTimeout(() => note.remove(), 4000);
  else note.addEventListener("click", () => note.remove());
}

export async function copy(text: string, button: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = "Copied";
    announce("Copied");
    setTimeout(() => (button.textContent = before), 1500);
  } catch {
    toast("The browser did not allow copying; select the text and copy it by hand.", "bad");
  }
}

/** Runs `task` at most once a frame. */
export function perFrame(task: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      task();
    });
  };
}

/** Runs `task` soon after a call, one at a time and at most once in `ms`; the last call is never lost. */
export function paced(ms: number, task: () => Promise<void>): () => void {
  let busy = false;
  let again = false;
  const run = async (): Promise<void> => {
    busy = true;
    again = false;
    await Promise.all([task(), new Promise((done) => setTimeout(done, ms))]);
    busy = false;
    if (again) void run();
  };
  return () => {
    if (busy) again = true;
    else void run();
  };
}

/** Runs `task` once calls have paused for `ms`. */
export function settled(ms: number, task: () => void): () => void {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(task, ms);
  };
}
