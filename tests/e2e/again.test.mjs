// From a finished search on: other budgets, another training, each by a click, in a real browser.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { api, noSidewaysScroll, openPage, startBrowser, startServer, until } from "./support.mjs";

const SMALL = {
  name: "Searched",
  dataset: { id: "fashion-mnist", limit: 512 },
  space: { preset: "toy-cell", channels: 4 },
  search: { optimizer: { kind: "drnas" }, epochs: 1, batch_size: 32, valid_limit: 128 },
  after: { limit: 128, recalibrate_images: 64 },
};
/** Seconds in which a small run ends even on a busy machine. */
const PATIENCE = 240;

let server;
let browser;
let searched;
const state = async (id) => (await api(server.base, "GET", `runs/${id}`)).body.status;
const ended = (id) => until("the run succeeds", PATIENCE, async () => (await state(id)) === "succeeded");

before(async () => {
  [server, browser] = await Promise.all([startServer(), startBrowser()]);
  searched = (await api(server.base, "POST", "runs", SMALL)).body.id;
  await ended(searched);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

describe("after a search", () => {
  test("one click trains what was found, and both pages tell of each other", async () => {
    const { page, check, close } = await openPage(browser, server.base, { width: 390, height: 844 });
    await page.goto(`${server.base}/runs/${searched}`);
    const tune = page.locator('[data-train-as="fine_tune"]');
    await tune.locator("input").fill("1");
    await tune.getByRole("button", { name: "Fine-tune" }).click();
    await page.waitForURL((url) => !url.pathname.endsWith(searched));
    const tuned = page.url().split("/").pop();
    await ended(tuned);
    await page.locator(".ladder tbody tr").nth(2).waitFor({ timeout: PATIENCE * 1000 });
    assert.match(await page.locator(".ladder tbody").textContent(), /Fine-tuned/);
    assert.equal(await page.locator("[data-rows]").isVisible(), false, "nothing was searched");
    await noSidewaysScroll(page, "tuned");
    await page.locator("[data-head]").getByRole("link", { name: "Searched", exact: true }).click();
    await page.waitForURL((url) => url.pathname.endsWith(searched));
    assert.equal(await page.locator(`.ladder a[href$="${tuned}"]`).textContent(), "Searched, fine-tuned");
    check();
    await close();
  });

  test("an architecture that does not belong here is refused beside the field", async () => {
    const { page, expectStatus, check, close } = await openPage(browser, server.base);
    expectStatus(422, "Unprocessable Entity");
    await page.goto(`${server.base}/runs/${searched}`);
    await page.locator("[data-train-text]").fill("toy-cell|normal=sep3,sep5,conv9|reduce=dil5,sep3,sep5");
    await page.locator('[data-train-as="from_scratch"] button').click();
    const flaw = page.locator("[data-train-flaw]");
    await flaw.waitFor();
    assert.equal(await flaw.textContent(), "choice normal 1→2 has no option conv9; it has sep3, sep5, dil3, dil5");
    await page.locator("[data-train-form]").click();
    await page.waitForURL(/train=/);
    const text = page.locator('[data-path="search.optimizer.architecture"] textarea');
    assert.match(await text.inputValue(), /^toy-cell\|normal=/);
    check();
    await close();
  });

  test("limits slide along a front, and what is picked becomes a package", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/${searched}`);
    const budget = page.locator("[data-budget]");
    await budget.getByRole("button", { name: "Compare architectures" }).click();
    await budget.locator("[data-budget-found]").waitFor({ timeout: PATIENCE * 1000 });
    await until("all are compared", PATIENCE, async () => !(await budget.locator("[data-budget-going]").isVisible()));
    const pick = budget.locator("[data-budget-pick]");
    const free = await pick.textContent();
    await budget.locator('[data-limit="params"] input').fill("0");
    const tight = await pick.textContent();
    assert.notEqual(tight, free);
    const architecture = await pick.locator("code").textContent();
    const { violations } = await new AxeBuilder({ page }).include("[data-budget]").analyze();
    assert.deepEqual(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id), []);
    await budget.locator("[data-budget-make]").click();
    await page.waitForURL((url) => !url.pathname.endsWith(searched));
    const made = page.url().split("/").pop();
    await ended(made);
    const run = (await api(server.base, "GET", `runs/${made}`)).body;
    assert.equal(run.summary.architecture, architecture);
    check();
    await close();
  });
});
