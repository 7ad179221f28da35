// Many pages of one browser: they share the six connections that it keeps to a server.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser, startServer, until, work } from "./support.mjs";

const NAMES = ["first steps=4000 pace=200", "second steps=4000 pace=200", "third steps=4000 pace=200"];

let server;
let browser;
let runs;
before(async () => {
  [server, browser] = await Promise.all([startServer({ fake: true, env: { FAKE_DEVICES: "cuda:0", SKEIN_RUNS_PER_GPU: "3" } }), startBrowser()]);
  runs = await work(server, NAMES, "cuda");
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const step = async (page) => Number((await page.locator("[data-fact=step]").textContent()).split(" / ")[0].replaceAll(",", ""));

/** Waits until a page shows a later step than it does now. */
async function isLive(page, what) {
  const from = await step(page);
  await until(`${what} goes on from step ${from}`, 30, async () => (await step(page)) > from + 2);
}

/** Streams of events that the server has open. */
async function streams() {
  const text = await (await fetch(`${server.base}/metrics`)).text();
  return Number(/^skein_event_streams (\d+)$/m.exec(text)[1]);
}

/** Pretends that somebody looks at a page, or that nobody does. */
const look = (page, seen) =>
  page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, !seen);

describe("twelve tabs", () => {
  test("all of them are live, whichever is closed, and a click gets through", async () => {
    const { page: first, check, close } = await openPage(browser, server.base);
    const pages = [first];
    while (pages.length < 12) pages.push(await first.context().newPage());
    for (const [index, page] of pages.entries()) await page.goto(`${server.base}/runs/${runs[index % 3]}`, { timeout: 20_000 });
    for (const [index, page] of pages.entries()) await isLive(page, `tab ${index}`);
    assert.equal(await streams(), 3, "each run is told once");
    // The first opened what all share.
    await pages.shift().close();
    await pages.splice(4, 1)[0].close();
    for (const [index, page] of pages.entries()) await isLive(page, `tab ${index} after two were closed`);
    await pages[3].getByRole("link", { name: "Runs", exact: true }).click({ timeout: 20_000 });
    await pages[3].waitForURL(`${server.base}/runs`, { timeout: 20_000 });
    check();
    await close();
    await until("no stream is left", 15, async () => (await streams()) === 0);
  });
});

describe("a hidden page", () => {
  for (const shared of [true, false]) {
    test(`catches up when it is shown, ${shared ? "with" : "without"} a shared worker`, async () => {
      const { page, check, close } = await openPage(browser, server.base);
      if (!shared) await page.addInitScript(() => delete globalThis.SharedWorker);
      await page.goto(`${server.base}/runs/${runs[0]}`);
      await isLive(page, "the page");
      await look(page, false);
      if (!shared) await until("the stream is closed", 10, async () => (await streams()) === 0);
      await page.waitForTimeout(3_000);
      await look(page, true);
      await isLive(page, "the page that is shown again");
      // Every step is there once, also those of the time in between.
      const slider = page.locator("[data-slider]");
      const told = Number(await slider.getAttribute("max"));
      const now = await step(page);
      assert.ok(told >= Math.min(300, now - 20) && told <= now, `${told} records at step ${now}`);
      check();
      await close();
    });
  }

  test("tells the state in its title", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/${runs[1]}`);
    await isLive(page, "the page");
    await look(page, false);
    await fetch(`${server.base}/api/v1/runs/${runs[1]}/cancel`, { method: "POST" });
    await until("the title says so", 15, async () => (await page.title()).startsWith("cancelled · "));
    check();
    await close();
  });
});
