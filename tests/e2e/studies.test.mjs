// A study in a real browser: it is followed to its end, fits, and is accessible.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { api, here, noSidewaysScroll, openPage, startBrowser, startServer, until } from "./support.mjs";

const SHOTS = join(here, "shots");
const OPERATIONS = ["sep3", "sep5", "dil3", "dil5"];

let server;
let browser;
before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  [server, browser] = await Promise.all([startServer({ fake: true }), startBrowser()]);
  const edges = (await api(server.base, "GET", "spaces/toy-cell")).body.choices.map(({ tensor, label }) => `${tensor} ${label}`);
  const lines = Array.from({ length: 4096 }, (_, place) => {
    const options = edges.map((_, edge) => OPERATIONS[Math.floor(place / 4 ** edge) % 4]);
    // Denser towards the best, as tables are.
    return [...options, (0.72 + 0.2 * (place / 4095) ** 0.3).toFixed(6), (0.9 - place / 9000).toFixed(6)].join(",");
  });
  mkdirSync(join(server.data, "benchmarks"), { recursive: true });
  writeFileSync(join(server.data, "benchmarks", "toy.csv"), [[...edges, "test_acc", "other_acc"].join(","), ...lines].join("\n"));
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A study whose methods' names tell the fake worker what to do. */
async function create(name, methods, more = {}) {
  const { status, body } = await api(server.base, "POST", "studies", {
    name,
    seeds: [1, 2, 3],
    run: {
      dataset: { id: "fashion-mnist", limit: 256 },
      space: { preset: "toy-cell" },
      search: { optimizer: { kind: "drnas" }, epochs: 2, batch_size: 16 },
      resources: { device: "cpu" },
      benchmark: { table: "toy.csv" },
    },
    methods: methods.map((name) => ({ name })),
    ...more,
  });
  assert.equal(status, 201, JSON.stringify(body));
  return body.id;
}

const ended = async (id) => {
  const { runs, succeeded, failed, cancelled, gone } = (await api(server.base, "GET", `studies/${id}`)).body.progress;
  return succeeded + failed + cancelled + gone === runs;
};

describe("studies", () => {
  test("without a study the page says how to make one", async () => {
    const { page, check, close } = await openPage(browser, server.base, { width: 390, height: 844 });
    await page.goto(`${server.base}/studies`);
    await page.getByText("No study yet").waitFor();
    await noSidewaysScroll(page, "no study");
    const { violations } = await new AxeBuilder({ page }).analyze();
    assert.deepEqual(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id), []);
    await page.screenshot({ path: join(SHOTS, "no-study-390.png"), fullPage: true });
    check();
    await close();
  });

  test("the figures follow the runs, and the last one ends the asking", async () => {
    const id = await create("Followed", ["seeded steps=30 pace=20 A", "wander steps=30 pace=20 B"]);
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/studies`);
    await page.getByRole("link", { name: "Followed", exact: true }).click();
    await page.waitForURL(/\/studies\/[0-9a-f-]{36}$/);
    await page.locator("[data-active]").waitFor();
    await until("it has ended on the page", 60, async () => (await page.locator("[data-state]").textContent()) === "succeeded");
    assert.equal(await page.locator("[data-active]").count(), 0);
    assert.equal(await page.getByRole("button", { name: "Cancel" }).count(), 0);
    await page.getByText("6 of 6 runs ended").first().waitFor();
    const first = () => page.locator("tr.method th").first().textContent();
    const before = await first();
    await page.getByLabel("Column of the table").selectOption("other_acc");
    await page.getByRole("button", { name: "Show" }).click();
    await page.waitForURL(/column=other_acc/);
    assert.notEqual(await first(), before, "the other column turns the order round");
    await page.getByRole("link", { name: /seed 2$/ }).first().click();
    await page.waitForURL(/\/runs\//);
    check();
    await close();
    await api(server.base, "DELETE", `studies/${id}`);
  });

  test("a study is cancelled and deleted by buttons; its runs stay", async () => {
    const id = await create("Cancelled", ["steps=100000 A"]);
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/studies/${id}`);
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByRole("button", { name: "Cancel the study" }).click();
    await until("it is cancelled", 60, async () => (await page.locator("[data-state]").textContent()) === "cancelled");
    const run = (await api(server.base, "GET", `studies/${id}`)).body.report.cells[0].runs[0].run;
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: "Delete the study" }).click();
    await page.waitForURL(/\/studies$/);
    assert.equal((await api(server.base, "GET", `studies/${id}`)).status, 404);
    assert.equal((await api(server.base, "GET", `runs/${run}`)).body.status, "cancelled");
    check();
    await close();
  });

  test("every page of studies is accessible, fits, and is whole without scripts", async () => {
    const methods = ["DrNAS wander steps=20 x", "GDAS seeded steps=20 x", "A method with quite a long name seeded wander steps=10 x"];
    const budgets = [{ name: "10 epochs", set: { search: { epochs: 10 } } }, { name: "50 epochs", set: { search: { epochs: 50 } } }];
    const plain = await create("Toy cell", methods);
    const id = await create("Toy cell, two budgets", methods, { budgets, seeds: [1, 2] });
    await until("both have ended", 120, async () => (await ended(plain)) && (await ended(id)));
    const working = await create("At work", ["steps=100000 A", "fail@3 B"]);
    const places = { studies: "studies", study: `studies/${plain}`, budgets: `studies/${id}`, working: `studies/${working}` };
    for (const scheme of ["light", "dark"]) {
      for (const [width, height] of [[1440, 900], [390, 844]]) {
        const { page, check, close } = await openPage(browser, server.base, { width, height, scheme });
        for (const [name, path] of Object.entries(places)) await look(page, `${server.base}/${path}`, `${name}-${scheme}-${width}`);
        check();
        await close();
      }
    }
    const { page, check, close } = await openPage(browser, server.base, { javaScriptEnabled: false });
    await page.goto(`${server.base}/studies/${plain}`);
    assert.equal(await page.locator(".study-chart .at-desk .line").count(), methods.length);
    assert.equal(await page.locator("table.summary tr.method").count(), methods.length);
    check();
    await close();
    await api(server.base, "POST", `studies/${working}/cancel`);
  });
});

/** A page fits, has no serious fault, and is pictured. */
async function look(page, address, name) {
  await page.goto(address);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForTimeout(300);
  await noSidewaysScroll(page, name);
  await page.screenshot({ path: join(SHOTS, `study-${name}.png`), fullPage: true });
  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const words = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 4).map((node) => `${node.target} ${node.failureSummary?.split("\n")[1] ?? ""}`).join("; ")}`);
  assert.deepEqual(words, [], name);
}
