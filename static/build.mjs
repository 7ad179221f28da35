// Bundles the pages' scripts and styles into dist/, which the server embeds.
// Names stay fixed: the server appends a digest of the content to every address.
import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
const shared = {
  bundle: true,
  minify: true,
  target: ["es2022", "chrome123", "firefox121", "safari17.5"],
  outdir: "dist",
  logLevel: "info",
  legalComments: "none",
};
await build({ ...shared, format: "esm", entryPoints: ["app.ts", "list.ts", "architectures.ts", "datasets.ts", "form.ts", "queue.ts", "run.ts", "studies.ts"] });
await build({ ...shared, format: "iife", entryPoints: ["theme.ts", "stream-worker.ts"] });
await build({ ...shared, entryPoints: ["app.css"] });
copyFileSync("favicon.svg", "dist/favicon.svg");
