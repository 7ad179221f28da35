// The form of a new run: what it shows, hides, refuses and says, in a real browser.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, field, openPage, openSection, startBrowser, startServer } from "./support.mjs";

let server;
let browser;
before(async () => {
  [server, browser] = await Promise.all([startServer(), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

describe("the form", () => {
  test("a first visit offers examples that lead to the form", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/`);
    assert.equal(new URL(page.url()).pathname, "/runs");
    assert.equal(await page.locator("[data-start]").count(), 3);
    for (const spec of await page.locator("[data-start]").evaluateAll((all) => all.map((one) => JSON.parse(one.dataset.start)))) {
      assert.equal((await api(server.base, "POST", "runs/preflight", spec)).status, 200);
    }
    await page.getByRole("link", { name: "Look at it first" }).first().click();
    await page.waitForURL(/example=quick/);
    assert.equal(await field(page, "space.channels").inputValue(), "8");
    check();
    await close();
  });

  test("violations appear beside their fields and are counted at the button", async () => {
    const { page, expectStatus, check, close } = await openPage(browser, server.base);
    expectStatus(422, "Unprocessable Entity");
    await page.goto(`${server.base}/runs/new`);
    await openSection(page, "search");
    await field(page, "search.epochs").fill("0");
    await openSection(page, "dataset");
    await field(page, "dataset.limit").fill("many");
    await page.locator('[data-path="search.epochs"] [data-flaw]', { hasText: "at least 1" }).waitFor();
    await page.locator('[data-path="dataset.limit"] [data-flaw]', { hasText: "whole number" }).waitFor();
    assert.equal(await field(page, "search.epochs").getAttribute("aria-invalid"), "true");
    assert.match(await page.locator("[data-flaws]").textContent(), /2 fields/);
    await page.locator("[data-submit]").click();
    await page.waitForTimeout(500);
    assert.match(page.url(), /runs\/new$/, "a refused form stays where it is");
    assert.equal((await api(server.base, "GET", "runs")).body.runs.length, 0);
    await field(page, "search.epochs").fill("2");
    await field(page, "dataset.limit").fill("");
    await page.locator("[data-flaws]", { hasText: /^$/ }).waitFor({ state: "attached" });
    assert.equal(await page.locator("[aria-invalid]").count(), 0);
    check();
    await close();
  });

  test("fields follow the space, and the picture shows it", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/new`);
    await openSection(page, "space");
    await field(page, "space.preset").selectOption("darts");
    assert.equal(await field(page, "space.cells").inputValue(), "8", "the default follows the space");
    await page.locator("[data-space-drawing] svg title", { hasText: "reduce cell: 0 to 2: 8 options" }).waitFor({ state: "attached" });
    await field(page, "space.preset").selectOption("conv-macro");
    await page.locator('[data-cost-of="architectures"]', { hasText: "6,561" }).waitFor();
    await field(page, "space.kernels").fill("3, 5");
    await page.locator('[data-cost-of="architectures"]', { hasText: "1,296" }).waitFor();
    const shown = JSON.parse(await page.locator("[data-code]").textContent());
    assert.deepEqual(shown.space, { preset: "conv-macro", kernels: [3, 5] });
    check();
    await close();
  });

  test("fields follow the optimizer, and the text forms say the same run", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/new`);
    await openSection(page, "search");
    assert.equal(await field(page, "search.optimizer.tau_start").isVisible(), false);
    await field(page, "search.optimizer.kind").selectOption("gdas");
    assert.equal(await field(page, "search.optimizer.tau_start").isVisible(), true);
    assert.equal(await field(page, "search.epochs").inputValue(), "250", "the default follows the optimizer");
    await field(page, "search.epochs").fill("3");
    await page.locator('[data-cost-of="steps"]', { hasText: "in 3 epochs" }).waitFor();
    const shown = JSON.parse(await page.locator("[data-code]").textContent());
    assert.deepEqual(shown.search, { optimizer: { kind: "gdas" }, epochs: 3 });
    await page.getByRole("tab", { name: "TOML" }).click();
    assert.match(await page.locator("[data-code]").textContent(), /epochs = 3/);
    await page.getByRole("tab", { name: "curl" }).click();
    assert.match(await page.locator("[data-code]").textContent(), /^curl -X POST .*\/api\/v1\/runs/);
    await page.locator("[data-copy]").click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^curl/);
    check();
    await close();
  });
});
