// What the browser tests share: a data set, a server, a browser that notices what must not happen.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** $CHROMIUM, the Debian path, or the first of the usual names on the PATH. */
function browserPath() {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const onPath = (process.env.PATH ?? "").split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)));
  const found = [process.env.CHROMIUM, "/usr/bin/chromium", ...onPath].find((path) => path && existsSync(path));
  if (!found) throw new Error("no Chromium found: install the Debian package `chromium`, or set CHROMIUM to one");
  return found;
}

/** Images whose class shows in the place and the direction of their stripes: learnable in seconds. */
function writeDataset(folder) {
  mkdirSync(folder, { recursive: true });
  let state = 7;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const write = (prefix, count) => {
    const images = Buffer.alloc(16 + count * 784);
    const labels = Buffer.alloc(8 + count);
    for (const [offset, word] of [0x803, count, 28, 28].entries()) images.writeUInt32BE(word, 4 * offset);
    for (const [offset, word] of [0x801, count].entries()) labels.writeUInt32BE(word, 4 * offset);
    for (let i = 0; i < count; i++) {
      const label = i % 10;
      labels[8 + i] = label;
      const shift = Math.floor(random() * 3);
      for (let y = 0; y < 28; y++) {
        for (let x = 0; x < 28; x++) {
          const along = label % 2 === 0 ? y : x;
          const stripe = Math.floor((along + shift) / 3) % 5 === Math.floor(label / 2);
          images[16 + i * 784 + y * 28 + x] = Math.min(255, (stripe ? 190 : 20) + Math.floor(random() * 60));
        }
      }
    }
    writeFileSync(join(folder, `${prefix}-images-idx3-ubyte`), images);
    writeFileSync(join(folder, `${prefix}-labels-idx1-ubyte`), labels);
  };
  write("train", 2000);
  write("t10k", 500);
}

/** Ends the workers below a data folder that have survived their server. */
function endWorkers(data) {
  const runs = join(data, "data", "runs");
  const files = existsSync(runs) ? readdirSync(runs, { recursive: true }) : [];
  for (const events of files.filter((path) => path.endsWith("events.jsonl")).map((path) => join(runs, path))) {
    const pid = /"pid":(\d+)/.exec(readFileSync(events, "utf8").split("\n")[0])?.[1];
    const command = pid && existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, "utf8") : "";
    // The number may belong to another process by now.
    if (command.includes(data)) process.kill(Number(pid), "SIGKILL");
  }
}

/** Starts `skein serve` on a free port, below `prefix`; resolves once it answers. The fake worker has any devices. */
export async function startServer({ prefix = "", env = {}, fake = false } = {}) {
  const data = mkdtempSync(join(tmpdir(), "skein-e2e-"));
  let datasets = process.env.SKEIN_DATASETS;
  if (!datasets) {
    datasets = join(data, "synthetic");
    writeDataset(join(datasets, "fashion-mnist"));
  }
  const [found, maker] = fake
    ? ["target/release/fake-worker", "integration-tests"]
    : [process.env.SKEIN_WORKER ?? "target/release/skein-worker", "skein-engine"];
  const worker = resolve(root, found);
  const program = resolve(root, process.env.SKEIN_BIN ?? "target/release/skein");
  for (const [path, make] of [[program, "skein-server"], [worker, maker]]) {
    assert.ok(existsSync(path), `${path} is missing; build it with \`cargo build --release -p ${make}\``);
  }
  const words = ["serve", "--listen", "127.0.0.1:0", "--data", join(data, "data"), "--datasets", datasets, "--worker", worker];
  if (prefix) words.push("--prefix", prefix);
  const inherited = { ...process.env };
  for (const name of Object.keys(inherited)) if (name.startsWith("SKEIN_")) delete inherited[name];
  const child = spawn(program, words, { env: { ...inherited, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => (said += chunk));
  const address = await new Promise((done, fail) => {
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
      const found = /https?:\/\/[^\s]+/.exec(out);
      if (found) done(found[0].replace(/\/$/, ""));
    });
    child.once("exit", (code) => fail(new Error(`the server ended with ${code}:\n${said}`)));
  });
  const end = async (signal) => {
    const gone = new Promise((done) => child.once("exit", done));
    if (child.exitCode === null && child.signalCode === null && child.kill(signal)) await gone;
  };
  const stop = async () => {
    await end("SIGTERM");
    endWorkers(data);
    rmSync(data, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  const base = prefix && !address.endsWith(prefix) ? address + prefix : address;
  return { base, data: join(data, "data"), stop, kill: () => end("SIGKILL"), signal: (name) => child.kill(name), log: () => said };
}

export async function startBrowser() {
  return chromium.launch({ executablePath: browserPath(), args: CHROMIUM_FLAGS });
}

/** A page in a context of its own; `check()` fails on errors, policy violations, foreign requests. */
export async function openPage(browser, base, { width = 1440, height = 900, scheme = "light", javaScriptEnabled = true } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, javaScriptEnabled, acceptDownloads: true });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  const faults = [];
  const host = new URL(base).host;
  page.on("console", (message) => {
    if (message.type() === "error" && !expected.has(message.text())) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.host !== host) faults.push(`request to another host: ${request.url()}`);
  });
  const expected = new Set();
  return {
    page,
    /** A refusal that the test provokes is printed by the browser as a console error. */
    expectStatus: (status, words) => expected.add(`Failed to load resource: the server responded with a status of ${status} (${words})`),
    check: () => assert.deepEqual(faults, []),
    close: () => context.close(),
  };
}

export async function noSidewaysScroll(page, where) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${where} is ${content} px wide in a window of ${window} px`);
}

/** Sends JSON to the API. */
export async function api(base, method, path, body, token = "") {
  const answer = await fetch(`${base}/api/v1/${path}`, {
    method,
    headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null };
}

/** Starts runs of these names on a server with the fake worker; their ids once all of them are at work or over. */
export async function work(server, names, device, token) {
  const ids = [];
  for (const name of names) {
    const { status, body } = await api(
      server.base,
      "POST",
      "runs",
      {
        name,
        dataset: { id: "fashion-mnist", limit: 256 },
        space: { preset: "toy-cell" },
        search: { optimizer: { kind: "drnas" }, epochs: 2, batch_size: 16 },
        resources: { device },
      },
      token,
    );
    assert.equal(status, 201, JSON.stringify(body));
    ids.push(body.id);
  }
  await until("all runs have begun", 30, async () => {
    const { body } = await api(server.base, "GET", "runs?status=queued,starting", undefined, token);
    return !body.runs.some(({ id }) => ids.includes(id));
  });
  return ids;
}

/** Waits until `probe` gives something; fails with `what` after `seconds`. */
export async function until(what, seconds, probe) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) assert.fail(`${what}: not within ${seconds} s`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

/** Opens a section and what is behind its "More", by keyboard alone if asked to. */
export async function openSection(page, id) {
  const section = page.locator(`[data-section="${id}"]`);
  if (!(await section.evaluate((element) => element.open))) await section.locator(":scope > summary").click();
  const more = section.locator("details.more");
  if ((await more.count()) > 0 && !(await more.evaluate((element) => element.open))) await more.locator(":scope > summary").click();
}

export const field = (page, path) => page.locator(`[data-path="${path}"] :is(input, select)`);
