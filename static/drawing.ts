// Puts a drawing of the server into the page, as text that the page's own styles colour.

import { h } from "./dom.ts";

/** Shows `text` (an SVG document) in `box`, one panel beside or below the other. */
export function draw(box: Element, text: string, mark?: (labels: SVGTextElement[]) => void): boolean {
  // Parsing alone would already offend the content security policy, so styles go first.
  const bare = text.replace(/<style\b[^>]*>[\s\S]*?<\/style>/g, "");
  const parsed = new DOMParser().parseFromString(bare, "image/svg+xml").documentElement;
  if (!(parsed instanceof SVGSVGElement)) return false;
  for (const foreign of parsed.querySelectorAll("script, foreignObject")) foreign.remove();
  mark?.([...parsed.querySelectorAll<SVGTextElement>("text.halo:not(.dim)")]);
  const { width, height } = parsed.viewBox.baseVal;
  const count = Math.max(1, Number(parsed.getAttribute("data-panels") ?? 1));
  const panels = Array.from({ length: count }, (_, index) => {
    const panel = document.importNode(parsed, true);
    panel.setAttribute("viewBox", `${(index * width) / count} 0 ${width / count} ${height}`);
    panel.removeAttribute("width");
    panel.removeAttribute("height");
    // A picture that is not cut keeps its size.
    if (count === 1) {
      panel.style.maxWidth = `${width}px`;
      panel.setAttribute("class", "whole");
    }
    // One description serves the whole picture.
    if (index > 0) {
      panel.querySelector("title")?.remove();
      panel.removeAttribute("role");
      panel.setAttribute("aria-hidden", "true");
    }
    return panel;
  });
  box.replaceChildren(h("div", { class: "panels" }));
  box.firstElementChild?.append(...panels);
  crop(panels);
  return true;
}

/** Cuts the empty margins above and below, alike for all panels. */
function crop(panels: SVGSVGElement[]): void {
  const bounds = panels[0]?.getBBox();
  if (!bounds || bounds.height === 0) return;
  for (const panel of panels) {
    const { x, width } = panel.viewBox.baseVal;
    panel.setAttribute("viewBox", `${x} ${bounds.y - 8} ${width} ${bounds.height + 16}`);
  }
}
