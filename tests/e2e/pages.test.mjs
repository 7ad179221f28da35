// One walk through the pages, from the form to the checked download, in a real browser.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { api, field, here, noSidewaysScroll, openPage, openSection, startBrowser, startServer, until } from "./support.mjs";
import { unzip } from "./zip.mjs";

const SHOTS = join(here, "shots");
const SMALL = {
  dataset: { id: "fashion-mnist", limit: 512 },
  space: { preset: "toy-cell", channels: 4 },
  search: { optimizer: { kind: "drnas" }, epochs: 2, batch_size: 32 },
};
/** Seconds in which a small run ends even on a busy machine. */
const PATIENCE = 240;

let server;
let browser;
before(async () => {
  rmSync(SHOTS, { recursive: true, force: true });
  mkdirSync(SHOTS);
  [server, browser] = await Promise.all([startServer(), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A BMP image with a bright stripe. */
function bitmap(width, height) {
  const [head, line] = [54, width * 3];
  const bytes = Buffer.alloc(head + line * height, 20);
  bytes.fill(0, 0, head).write("BM");
  for (const [at, value] of [[2, bytes.length], [10, head], [14, 40], [18, width], [22, height]]) bytes.writeUInt32LE(value, at);
  for (const [at, value] of [[26, 1], [28, 24]]) bytes.writeUInt16LE(value, at);
  return bytes.fill(210, head + 12 * line, head + 15 * line);
}

/** Cancels a run and waits until it is. */
async function cancel(id) {
  await api(server.base, "POST", `runs/${id}/cancel`);
  await until("cancelled", PATIENCE, async () => (await api(server.base, "GET", `runs/${id}`)).body.status === "cancelled");
}

const status = (page) => page.locator("[data-state]").textContent();

describe("the pages", () => {
  let finished;

  test("a run made with the form is watched until it has succeeded", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/new`);
    await field(page, "name").fill("From the form");
    for (const section of ["dataset", "space", "search", "after"]) await openSection(page, section);
    await field(page, "dataset.limit").fill("512");
    await field(page, "space.channels").fill("4");
    await field(page, "search.epochs").fill("2");
    await field(page, "search.batch_size").fill("32");
    await field(page, "after.from_scratch.epochs").fill("1");
    await page.locator("[data-submit]").click();
    await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
    finished = page.url().split("/").pop();
    const seen = new Set();
    await until("the run succeeds", PATIENCE, async () => {
      const now = await status(page);
      seen.add(now);
      assert.ok(!["failed", "lost", "cancelled"].includes(now), `${now}: ${await page.locator("[data-swap=notices]").textContent()}`);
      return now === "succeeded";
    });
    assert.ok(seen.has("running"), `the page showed ${[...seen].join(", ")} without a reload`);
    await page.locator("[data-files] a", { hasText: "result.zip" }).waitFor();
    await page.locator(".ladder tbody tr").nth(2).waitFor();
    assert.ok((await page.locator('[data-chart="loss"] canvas').count()) >= 1, "a chart is drawn");
    const load = page.locator('[data-chart="load"][data-phase="search"]');
    assert.match(await load.locator(".legend").textContent(), /CPU busy/, "the load of the machine is told");
    assert.equal(await load.locator("canvas").count(), 1, "and drawn");
    assert.match(await page.locator('[data-figure="accuracy"] [data-value]').textContent(), /^\d+\.\d\d %$/);
    const texts = ["dt", "[data-note]"].map((part) => page.locator(`[data-figure] ${part}`));
    const [labels, notes] = await Promise.all(texts.map((all) => all.evaluateAll((found) => found.map((one) => one.getBoundingClientRect().x))));
    assert.deepEqual(notes, labels, "a figure's note begins below its label");
    const lines = await texts[1].evaluateAll((found) => found.filter((one) => one.textContent).map((one) => one.getBoundingClientRect().y));
    assert.ok(lines.length > 1 && lines.every((line) => line === lines[0]), `the notes stand on one line: ${lines}`);
    check();
    await close();
  });

  test("the slider moves rows, caption and drawing together", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/${finished}`);
    const slider = page.locator("[data-slider]");
    await slider.waitFor();
    const at = () => page.locator("[data-scrub-at]").textContent();
    const drawn = () => page.locator("[data-arch-drawing]").getAttribute("data-step");
    const bars = () => page.locator(".row-bars .p").allTextContents();
    await until("the newest drawing", 10, drawn);
    const [newest, newestDrawing, newestBars] = [await at(), await drawn(), await bars()];
    const fetched = page.waitForResponse((answer) => /architecture\.svg\?step=/.test(answer.url()) && answer.ok());
    await slider.focus();
    await page.keyboard.press("Home");
    await fetched;
    await until("the drawing follows", 10, async () => (await drawn()) !== newestDrawing);
    const first = await at();
    assert.notEqual(first, newest);
    assert.notDeepEqual(await bars(), newestBars);
    const step = /step ([\d,]+)/.exec(first)[1].replaceAll(",", "");
    assert.equal(await drawn(), step);
    assert.match(await page.locator("[data-arch-at]").textContent(), new RegExp(`step ${step}\\b`));
    const rows = (await api(server.base, "GET", `runs/${finished}/rows`)).body;
    const options = rows.rows[0].map((row, choice) => rows.choices[choice].options[row.indexOf(Math.max(...row))]);
    const labels = await page.locator("[data-arch-drawing] svg text.halo:not(.dim)").allTextContents();
    assert.deepEqual(labels, options, "the drawing shows the rows of its step");
    await page.locator("[data-play]").click();
    await until("playing reaches the end", 30, async () => (await at()) === newest);
    check();
    await close();
  });

  test("the result package holds what its manifest says", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/${finished}`);
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download", exact: true }).click()]);
    const files = unzip(readFileSync(await download.path()));
    const manifest = JSON.parse(files.get("manifest.json").toString());
    const names = manifest.files.map((file) => file.name);
    for (const name of ["architecture.json", "architecture.svg", "model.safetensors", "spec.json", "metrics.csv"]) assert.ok(names.includes(name), name);
    for (const { name, bytes, sha256 } of manifest.files) {
      const content = files.get(name);
      assert.ok(content, `${name} is in the package`);
      assert.equal(content.length, bytes, name);
      assert.equal(createHash("sha256").update(content).digest("hex"), sha256, name);
    }
    assert.equal(JSON.parse(files.get("spec.json").toString()).search.epochs, 2);
    check();
    await close();
  });

  test("a finished run's network is tried on an image", async () => {
    const { page, expectStatus, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/${finished}`);
    const card = page.locator("[data-try]");
    await card.locator("[data-try-file]").setInputFiles({ name: "grey.bmp", mimeType: "image/bmp", buffer: bitmap(28, 28) });
    const rows = card.locator("[data-try-classes] tbody tr");
    await rows.nth(9).waitFor({ timeout: 60_000 });
    assert.match(await card.locator("[data-try-status]").textContent(), /^28×28 pixels, grey; the network took [\d.]+ ms$/);
    const shares = (await rows.locator(".num").allTextContents()).map((text) => Number.parseFloat(text.replace("< ", "")));
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 100) < 1.1, shares.join(", "));
    assert.ok(await card.locator("[data-try-preview]").isVisible());
    const before = await rows.allTextContents();
    await card.locator("[data-try-invert]").check();
    await until("the inverted image is answered", 60, async () => (await card.locator("[data-try-status]").textContent()).includes("inverted"));
    assert.notDeepEqual(await rows.allTextContents(), before);
    expectStatus(422, "Unprocessable Entity");
    const dropped = await page.evaluateHandle(() => {
      const data = new DataTransfer();
      data.items.add(new File(["no image"], "letter.txt", { type: "text/plain" }));
      return data;
    });
    await card.locator("[data-try-drop]").dispatchEvent("drop", { dataTransfer: dropped });
    await card.getByText("this is no PNG, JPEG, WebP, GIF or BMP image").waitFor({ timeout: 60_000 });
    assert.ok(await card.locator("[data-try-classes]").isHidden(), "the answer to another image is gone");
    check();
    await close();
  });

  test("keys alone create, find, cancel and delete a run", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs`);
    await page.keyboard.press("?");
    await page.locator("#keys[open]").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("#keys").waitFor({ state: "hidden" });
    const again = await page.evaluate(() => {
      const dialog = document.querySelector("#keys");
      dialog.showModal();
      const inside = document.activeElement;
      dialog.close();
      inside.dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true }));
      const opened = dialog.open;
      dialog.close();
      return opened;
    });
    assert.ok(again, "a key right after a dialog closed is heard, though the focus has not left it yet");
    await page.keyboard.press("n");
    await page.waitForURL(/\/runs\/new$/);
    await page.locator("[data-cost]:not([aria-busy])").waitFor();
    const tabTo = async (what, matches) => {
      for (let i = 0; i < 80; i++) {
        await page.keyboard.press("Tab");
        if (await page.evaluate(matches)) return;
      }
      assert.fail(`Tab never reached ${what}`);
    };
    await tabTo("the name", () => document.activeElement.name === "name");
    await page.keyboard.type("By keyboard");
    await tabTo("the search section", () => document.activeElement.closest("[data-section=search] > summary") !== null);
    await page.keyboard.press("Enter");
    await tabTo("the epochs", () => document.activeElement.name === "search.epochs");
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type("500");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
    const id = page.url().split("/").pop();
    assert.equal((await api(server.base, "GET", `runs/${id}`)).body.spec.search.epochs, 500);
    await page.keyboard.press("r");
    await page.waitForURL(/\/runs$/);
    await page.keyboard.press("/");
    await page.keyboard.type("By key");
    await page.waitForURL(/q=By(\+|%20)key/);
    await until("the filter", 10, async () => (await page.locator("[data-row-link]").count()) === 1);
    await page.locator("[data-search]").blur();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(new RegExp(id));
    await tabTo("Cancel", () => document.activeElement.dataset?.act === "cancel");
    await page.keyboard.press("Enter");
    await page.locator("#confirm-cancel[open]").waitFor();
    await tabTo("the answer", () => document.activeElement.value === "yes");
    await page.keyboard.press("Enter");
    await until("cancelled", PATIENCE, async () => (await status(page)) === "cancelled");
    await page.locator("summary", { hasText: "More ▾" }).focus();
    await page.keyboard.press("Enter");
    await tabTo("Delete", () => document.activeElement.dataset?.act === "delete");
    await page.keyboard.press("Enter");
    await page.locator("#confirm-delete[open]").waitFor();
    await tabTo("the answer", () => document.activeElement.value === "yes");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/runs$/);
    assert.equal((await api(server.base, "GET", `runs/${id}`)).status, 404);
    check();
    await close();
  });

  test("names are shown as text, whatever they contain", async () => {
    const name = `<img src=x onerror="document.title='owned'">&amp;"'`;
    const made = await api(server.base, "POST", "runs", { ...SMALL, name, search: { ...SMALL.search, epochs: 400 } });
    const id = made.body.id;
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs`);
    await page.locator("[data-row-link]", { hasText: name }).waitFor();
    await page.goto(`${server.base}/runs/${id}`);
    assert.equal(await page.locator("[data-name]").textContent(), name);
    await page.locator("[data-rename-open]").click();
    await api(server.base, "POST", `runs/${id}/pause`);
    await until("paused", PATIENCE, async () => (await status(page)) === "paused");
    await page.getByRole("button", { name: "Resume" }).waitFor();
    assert.ok(await page.locator("[data-rename] input").isVisible(), "a change of the state leaves what is being edited alone");
    await page.locator("[data-rename] input").fill("Renamed");
    await page.keyboard.press("Enter");
    await page.locator("[data-name]", { hasText: /^Renamed$/ }).waitFor();
    assert.equal((await api(server.base, "GET", `runs/${id}`)).body.name, "Renamed");
    check();
    await close();
    await cancel(id);
  });

  test("pages can be read without scripts", async () => {
    const { page, close } = await openPage(browser, server.base, { javaScriptEnabled: false });
    await page.goto(`${server.base}/runs`);
    await page.getByRole("link", { name: "From the form" }).click();
    assert.match(await page.locator("h1").textContent(), /From the form/);
    assert.equal(await page.locator(".ladder tbody tr").count(), 3);
    assert.ok(await page.locator("[data-arch-drawing] img").evaluate((image) => image.complete && image.naturalWidth > 0));
    await close();
  });

  test("a front of accuracy against cost is drawn and told as a table, live and after a reload", async () => {
    const second_stage = { kind: "pareto", cost: "params", population: 6, mutations: 2, crossovers: 2, generations: 3 };
    const search = { optimizer: { kind: "spos" }, epochs: 1, batch_size: 32, second_stage };
    const { page, check, close } = await openPage(browser, server.base, { width: 390, height: 844 });
    const { body } = await api(server.base, "POST", "runs", { ...SMALL, name: "Trade-offs", search });
    await page.goto(`${server.base}/runs/${body.id}`);
    const front = page.locator("[data-front]");
    const look = async () => {
      await front.locator("tbody tr").first().waitFor({ timeout: PATIENCE * 1000 });
      await until("all are compared", PATIENCE, async () => /of 18 architectures/.test(await front.locator("[data-front-at]").textContent()));
      const rows = await front.locator("tbody tr").count();
      assert.equal(await front.locator("circle").count(), rows, "one point a line");
      return front.locator("tbody").textContent();
    };
    const live = await look();
    await page.reload();
    assert.equal(await look(), live);
    await noSidewaysScroll(page, "front");
    await front.screenshot({ path: join(SHOTS, "front.png") });
    const { violations } = await new AxeBuilder({ page }).include("[data-front]").analyze();
    assert.deepEqual(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id), []);
    check();
    await close();
    await until("it ends", PATIENCE, async () => (await api(server.base, "GET", `runs/${body.id}`)).body.status === "succeeded");
    await api(server.base, "DELETE", `runs/${body.id}`);
  });

  test("the architectures of a search at work are listed as they come", async (context) => {
    const search = { ...SMALL.search, epochs: 400, valid_limit: 128 };
    const { body } = await api(server.base, "POST", "runs", { ...SMALL, name: "Still searching", search });
    const { page, check, close } = await openPage(browser, server.base);
    context.after(async () => {
      await close();
      await cancel(body.id);
      await api(server.base, "DELETE", `runs/${body.id}`);
    });
    await page.goto(`${server.base}/runs/${body.id}/architectures?all=true`);
    await page.getByText("No architecture yet").waitFor();
    const lines = page.locator("tbody tr");
    const grows = async (count) => until(`${count} lines`, PATIENCE, async () => (await lines.count()) >= count);
    await grows(2);
    const first = page.getByRole("radio", { name: "B: Epoch 1", exact: true });
    await first.check();
    const count = await lines.count();
    await grows(count + 2);
    assert.ok(await first.isChecked(), "a choice stays while lines come");
    assert.match(await lines.first().textContent(), /last/);
    await page.getByRole("button", { name: "Compare A with B" }).click();
    await page.getByRole("heading", { name: /against epoch 1$/ }).waitFor();
    check();
  });

  for (const scheme of ["light", "dark"]) {
    for (const [width, height] of [[1440, 900], [390, 844]]) {
      test(`every page is accessible and fits, ${scheme} at ${width}`, async (context) => {
        const other = await api(server.base, "POST", "runs", { ...SMALL, name: "Another one, running", search: { ...SMALL.search, epochs: 400 } });
        await until("it runs", PATIENCE, async () => {
          const run = (await api(server.base, "GET", `runs/${other.body.id}`)).body;
          return run.progress !== null && Object.keys(run.latest).length > 0;
        });
        const { page, expectStatus, check, close } = await openPage(browser, server.base, { width, height, scheme });
        context.after(async () => {
          await close();
          await cancel(other.body.id);
          await api(server.base, "DELETE", `runs/${other.body.id}`);
        });
        expectStatus(404, "Not Found");
        const places = { runs: "runs", new: "runs/new", example: "runs/new?example=quick", clone: `runs/new?from=${finished}`, finished: `runs/${finished}`, architectures: `runs/${finished}/architectures?a=0&b=last&all=true`, running: `runs/${other.body.id}`, login: "login", certify: "certify", missing: "runs/none" };
        for (const [name, path] of Object.entries(places)) {
          await page.goto(`${server.base}/${path}`);
          await page.waitForTimeout(1200);
          await noSidewaysScroll(page, name);
          await page.screenshot({ path: join(SHOTS, `${name}-${scheme}-${width}.png`), fullPage: true });
          const { violations } = await new AxeBuilder({ page }).analyze();
          const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
          const words = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 4).map((node) => `${node.target} ${node.failureSummary?.split("\n")[1] ?? ""}`).join("; ")}`);
          assert.deepEqual(words, [], `${name} in ${scheme} at ${width}`);
        }
        check();
      });
    }
  }
});
