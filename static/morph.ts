// Brings part of a page up to date from the server's own HTML, touching only what differs, so
// that focus, selection and the pointer's place survive.

import { ask } from "./contact.ts";

/** Makes the children of `target` equal to `html`. */
export function morph(target: Element, html: string): void {
  const parsed = new DOMParser().parseFromString(`<body>${html}</body>`, "text/html");
  children(target, parsed.body);
}

/** Replaces every `[data-swap]` part of the page by the part of the same name in `html`. */
export function swap(html: string): void {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  for (const part of document.querySelectorAll<HTMLElement>("[data-swap]")) {
    const fresh = parsed.querySelector(`[data-swap="${part.dataset["swap"]}"]`);
    if (fresh) element(part, fresh);
  }
}

let asked = 0;
/** The same from this page's own address, unless nobody looks or a later look has begun; says whether it came. */
export async function reload(): Promise<boolean> {
  if (document.hidden) return false;
  const turn = ++asked;
  const answer = await ask(location.href);
  if (!answer?.ok || turn !== asked) return false;
  swap(answer.text);
  document.dispatchEvent(new Event("skein:tell"));
  return true;
}

function children(old: Element, fresh: Element): void {
  const kept = new Map<string, Element>();
  for (const child of old.children) {
    const key = child.getAttribute("data-key");
    if (key) kept.set(key, child);
  }
  let at = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const key = node instanceof Element ? node.getAttribute("data-key") : null;
    const same = key ? (kept.get(key) ?? null) : at;
    if (same && key && same !== at) old.insertBefore(same, at);
    if (same && alike(same, node) && (key !== null || !(same instanceof Element && same.hasAttribute("data-key")))) {
      if (same === at) at = at.nextSibling;
      update(same, node);
    } else {
      old.insertBefore(document.importNode(node, true), at);
    }
  }
  while (at) {
    const next: ChildNode | null = at.nextSibling;
    at.remove();
    at = next;
  }
}

function alike(a: Node, b: Node): boolean {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

function update(old: Node, fresh: Node): void {
  if (old instanceof Element && fresh instanceof Element) element(old, fresh);
  else if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
}

function element(old: Element, fresh: Element): void {
  // A relative time is written by script; compare what it stands for.
  if ((old.hasAttribute("data-ago") || old.hasAttribute("data-at")) && old.getAttribute("datetime") === fresh.getAttribute("datetime")) return;
  // What a person is editing, opened or typed is theirs.
  if (old.hasAttribute("data-editing")) return;
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  if (old instanceof HTMLInputElement || old instanceof HTMLSelectElement) return;
  children(old, fresh);
}
