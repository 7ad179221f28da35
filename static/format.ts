// Numbers and times for people; `server/src/routes/pages/format.rs` says the same things the same way.

/** `0.912`, `1.24`, `1.2e-5`. */
export function value(x: number): string {
  if (Number.isNaN(x)) return "not a number";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  if (size === 0) return "0";
  if (size >= 1000) return Math.round(x).toLocaleString("en");
  if (size >= 100) return x.toFixed(1);
  if (size >= 10) return x.toFixed(2);
  if (size >= 0.01) return x.toFixed(3);
  return size >= 0.0001 ? x.toFixed(5) : x.toExponential(1);
}

/** `1.2 M`, `38.6 k`. */
export function short(x: number): string {
  const units: [number, string][] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  for (const [size, name] of units) {
    if (Math.abs(x) >= size) return `${trim(x / size)} ${name}`;
  }
  return trim(x);
}

function trim(x: number): string {
  if (Number.isInteger(x)) return String(x);
  return x >= 100 ? x.toFixed(0) : x.toFixed(1);
}

/** Nanoseconds as milliseconds: `1.24`. */
export function milliseconds(nanoseconds: number): string {
  return value(nanoseconds / 1e6);
}

/** `850 B`, `1.2 MB`. */
export function bytes(x: number): string {
  return x < 1000 ? `${x} B` : `${short(x)}B`;
}

/** `8 s`, `2 min 05 s`, `3 h 12 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  const s = Math.round(seconds);
  const pad = (n: number): string => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${pad(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${pad(Math.floor(s / 60) % 60)} min`;
  return `${Math.floor(s / 86400)} d ${pad(Math.floor(s / 3600) % 24)} h`;
}

/** An accuracy, or another share that is compared with one: `57.50 %`. */
export function inPercent(share: number): string {
  return percent(share, 2);
}

/** The same with every digit that counts: `57.501234 %`. */
export function exactPercent(share: number): string {
  return Number.isFinite(share) ? `${Number((100 * share).toPrecision(8))} %` : value(share);
}

/** `61.2 %`. */
export function percent(fraction: number, digits = 1): string {
  return Number.isFinite(fraction) ? `${(100 * fraction).toFixed(digits)} %` : "–";
}

/** `just now`, `5 min ago`, `3 d ago`. */
export function ago(at: Date): string {
  const s = Math.max(0, (Date.now() - at.getTime()) / 1000);
  if (s < 45) return "just now";
  if (s < 3600) return `${Math.max(1, Math.round(s / 60))} min ago`;
  if (s < 86400) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} d ago`;
}

/** `weight_loss` as `weight loss`. */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}
