// What is asked for once is made once, and what was asked for is shown at once.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, field, openPage, startBrowser, startServer, until, work } from "./support.mjs";

let server;
let browser;
before(async () => {
  [server, browser] = await Promise.all([startServer({ fake: true, env: { FAKE_DEVICES: "cpu" } }), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Runs on the server whose name begins like this. */
const named = async (name) => (await api(server.base, "GET", `runs?q=${encodeURIComponent(name)}`)).body.runs;

/** Lets the next request for something new reach the server, and loses the answer. */
async function loseAnswer(page, path) {
  let lost = 0;
  await page.route(`**/api/v1/${path}`, async (route) => {
    if (route.request().method() !== "POST" || lost > 0) return route.continue();
    lost += 1;
    const { url, method, headers, postData } = { url: route.request().url(), method: "POST", headers: route.request().headers(), postData: route.request().postData() };
    await fetch(url, { method, headers: { "content-type": "application/json", "idempotency-key": headers["idempotency-key"] ?? "" }, body: postData });
    await route.abort();
  });
}

describe("an answer that was lost", () => {
  test("makes no second run when Start is pressed again, also after a reload", async () => {
    const { page, close } = await openPage(browser, server.base);
    for (const reload of [false, true]) {
      const name = `lost ${reload} steps=2`;
      await page.goto(`${server.base}/runs/new`);
      await field(page, "name").fill(name);
      await loseAnswer(page, "runs");
      const start = page.locator("[data-submit]");
      await start.click();
      await until("the page says that there was no answer", 10, async () => (await page.locator(".toast").allTextContents()).join().includes("No connection"));
      if (reload) {
        await page.reload();
        await field(page, "name").fill(name);
      }
      await start.click();
      await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
      const made = await named(name);
      assert.equal(made.length, 1, `${made.length} runs were made`);
      // Whoever wants the same again gets it.
      await page.goto(`${server.base}/runs/new`);
      await field(page, "name").fill(name);
      await start.click();
      await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
      assert.equal((await named(name)).length, 2);
    }
    await close();
  });

  test("makes no second run of an example or a training either", async () => {
    const [run] = await work(server, ["train me steps=4"], "cpu");
    await until("it has succeeded", 60, async () => (await named("train me"))[0].status === "succeeded");
    const { page, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/${run}`);
    await loseAnswer(page, `runs/${run}/train`);
    const before = (await named("")).length;
    const button = page.locator("form[data-train-as] button").first();
    await button.click();
    await until("the page says that there was no answer", 10, async () => (await page.locator("[data-train-flaw]").textContent()).includes("No connection"));
    await button.click();
    await page.waitForURL((url) => !url.href.endsWith(run));
    assert.equal((await named("")).length, before + 1);
    await close();
  });
});

describe("a run that is cancelled", () => {
  test("is cancelling everywhere until its worker is gone", async () => {
    const [run] = await work(server, ["stubborn steps=100000 pace=5 deaf"], "cpu");
    const { page, check, close } = await openPage(browser, server.base);
    const list = await page.context().newPage();
    await list.goto(`${server.base}/runs`);
    await page.goto(`${server.base}/runs/${run}`);
    await page.locator("[data-act=cancel]").click();
    await page.locator("#confirm-cancel button[value=yes]").click();
    await page.locator("[data-state]", { hasText: "cancelling" }).waitFor({ timeout: 2_000 });
    await list.locator(`[data-key="${run}"] .state.cancelling`).waitFor({ timeout: 5_000 });
    await page.locator("[data-act=cancel], [data-act=pause]").first().waitFor({ state: "detached", timeout: 5_000 });
    await page.locator("[data-state]", { hasText: "cancelled" }).waitFor({ timeout: 20_000 });
    check();
    await close();
  });
});

describe("a young search", () => {
  test("shows per cent, entropy as a share, and how the rows differ from uniform", async () => {
    const [run] = await work(server, ["young steps=3000 pace=5 fail@100"], "cpu");
    await until("it has stopped early", 30, async () => (await named("young"))[0].status === "failed");
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/${run}`);
    const entropy = page.locator('[data-figure="entropy"] [data-value]');
    await until("entropy is near its largest", 20, async () => /^(100\.00|99\.\d\d) %$/.test(await entropy.textContent()));
    assert.match(await page.locator('[data-figure="entropy"] [data-note]').textContent(), /^of the largest; 1\.\d+ nats$/);
    const accuracy = page.locator('[data-figure="accuracy"]');
    await until("an accuracy in per cent", 20, async () => /^\d+\.\d\d %$/.test(await accuracy.locator("[data-value]").textContent()));
    assert.match(await accuracy.locator("[data-note]").textContent(), /^highest \d+\.\d\d % at step [\d,]+$/);
    // The axis of the entropy is the whole range, whatever little happens.
    const chart = page.locator('[data-chart="entropy"]');
    assert.match(await chart.locator("h3").textContent(), /% of the largest/);
    assert.match(await chart.locator("output").textContent(), /^(100\.00|99\.\d\d) %$/);
    // Its curve goes on while the search does.
    const [live] = await work(server, ["live steps=400 pace=30"], "cpu");
    await page.goto(`${server.base}/runs/${live}`);
    const shown = chart.locator("output");
    await until("the curve begins", 20, async () => (await shown.count()) === 1 && (await shown.textContent()).endsWith("%"));
    const begun = await shown.textContent();
    await until("the curve goes on", 20, async () => (await shown.textContent()) !== begun);
    await page.goto(`${server.base}/runs/${run}`);
    await until("the colours are there", 20, async () => (await page.locator("[data-scale-of]").textContent()) === "difference from uniform");
    // Colours tell the options apart, though their probabilities are nearly the same.
    assert.equal(await page.locator("[data-scale-of]").textContent(), "difference from uniform");
    assert.match(await page.locator("[data-scale-low]").textContent(), /^−\d\.\d\d %$/);
    assert.match(await page.locator("[data-scale-high]").textContent(), /^\+\d\.\d\d %$/);
    const colours = await page.locator(".heat canvas").first().evaluate((canvas) => {
      const at = (y) => canvas.getContext("2d").getImageData(Math.round(0.015 * canvas.width), Math.round(canvas.height * y), 1, 1).data.join(" ");
      return [at(0.1), at(0.9)];
    });
    assert.notEqual(colours[0], colours[1]);
    // The list says accuracies in the same way.
    await page.goto(`${server.base}/runs`);
    assert.match(await page.locator(`[data-key="${run}"] .c-acc`).textContent(), /^\d+\.\d\d %$/);
    check();
    await close();
  });
});
