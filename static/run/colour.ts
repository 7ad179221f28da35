// Colours for canvases: the page's tokens, the series' palette, the map of probabilities.

const cache = new Map<string, string>();
const listeners: (() => void)[] = [];
let probe: HTMLElement | null = null;

/** The present value of a token, for example `--line`. */
export function token(name: string): string {
  let found = cache.get(name);
  if (found === undefined) {
    if (!probe) {
      probe = document.createElement("span");
      probe.hidden = true;
      document.body.append(probe);
    }
    probe.style.color = `var(${name})`;
    found = getComputedStyle(probe).color;
    cache.set(name, found);
  }
  return found;
}

/** Calls `task` whenever the theme changes. */
export function onTheme(task: () => void): void {
  listeners.push(task);
}

function changed(): void {
  cache.clear();
  for (const task of listeners) task();
}
document.addEventListener("skein:theme", changed);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);

/** Same series, same colour on every page. */
export function seriesToken(name: string): string {
  if (name === "loss" || name === "accuracy") return "--series-blue";
  if (name.startsWith("weight_") || name.startsWith("train_")) return "--series-blue";
  if (name.startsWith("arch_") || name.startsWith("row_lr")) return "--series-vermilion";
  if (name.startsWith("valid_")) return "--series-green";
  if (name.startsWith("test_")) return "--series-purple";
  if (/entropy/.test(name)) return "--series-purple";
  if (/tau|temperature/.test(name)) return "--series-orange";
  if (name === "cpu_busy" || name === "memory_mb") return "--series-blue";
  if (name.startsWith("gpu_")) return "--series-green";
  if (name === "input_wait") return "--series-vermilion";
  return "--series-sky";
}

export function isDark(): boolean {
  const set = document.documentElement.dataset["theme"];
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Probability to colour: lightness falls (or rises, in the dark) evenly in OKLab. */
export function probabilityMap(dark: boolean): string[] {
  return Array.from({ length: 256 }, (_, i) => {
    const t = i / 255;
    const lightness = dark ? 0.25 + 0.67 * t : 0.97 - 0.66 * t;
    const chroma = 0.02 + 0.13 * Math.sin(Math.PI * (0.12 + 0.76 * t));
    const hue = ((250 - (dark ? 1 : -0.3) * 70 * t) * Math.PI) / 180;
    return oklab(lightness, chroma * Math.cos(hue), chroma * Math.sin(hue));
  });
}

/** A difference to colour: blue below, orange above, the ground's grey where there is none. */
export function differenceMap(dark: boolean): string[] {
  return Array.from({ length: 256 }, (_, i) => {
    const t = (i - 127.5) / 127.5;
    const far = Math.abs(t);
    const lightness = dark ? 0.27 + 0.5 * far : 0.95 - 0.4 * far;
    const hue = ((t < 0 ? 250 : 55) * Math.PI) / 180;
    return oklab(lightness, 0.14 * far * Math.cos(hue), 0.14 * far * Math.sin(hue));
  });
}

function oklab(lightness: number, a: number, b: number): string {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const rgb = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return `rgb(${rgb.map((x) => Math.round(255 * gamma(Math.min(1, Math.max(0, x))))).join(" ")})`;
}

function gamma(x: number): number {
  return x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055;
}
