// Puts a drawing of the server into the page, as text that the page's own styles colour.

import { h, s } from "./dom.ts";

/** Shows `text` (an SVG document) in `box`, each of its parts by itself. */
export function draw(box: Element, text: string, mark?: (labels: SVGTextElement[]) => void): boolean {
  // Parsing alone would already offend the content security policy, so styles go first.
  const bare = text.replace(/<style\b[^>]*>[\s\S]*?<\/style>/g, "");
  const parsed = new DOMParser().parseFromString(bare, "image/svg+xml").documentElement;
  if (!(parsed instanceof SVGSVGElement)) return false;
  for (const foreign of parsed.querySelectorAll("script, foreignObject")) foreign.remove();
  mark?.([...parsed.querySelectorAll<SVGTextElement>("text.halo:not(.dim)")]);
  const parts = [...parsed.querySelectorAll<SVGGElement>("g[data-size]")].map((part, index) => {
    const [width = "0", height = "0"] = (part.dataset["size"] ?? "").split(" ");
    const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
    // One description serves the whole picture.
    if (index === 0) {
      svg.setAttribute("role", "img");
      const title = parsed.querySelector("title");
      if (title) svg.append(document.importNode(title, true));
    } else {
      svg.setAttribute("aria-hidden", "true");
    }
    const body = document.importNode(part, true);
    body.removeAttribute("transform");
    svg.append(body);
    return svg;
  });
  box.replaceChildren(h("div", { class: `panels ${parsed.dataset["kind"] ?? ""}` }, ...parts));
  return true;
}
