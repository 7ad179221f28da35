// A server below a path of another one and behind a token, in a real browser.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser, startServer } from "./support.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(async () => browser?.close());

describe("below a prefix and behind a token", () => {
  let guarded;
  before(async () => {
    guarded = await startServer({ prefix: "/nas", env: { SKEIN_TOKEN: "a-long-enough-token" } });
  });
  after(async () => guarded?.stop());

  test("the log-in leads to the page that was asked for, and every address has the prefix", async () => {
    const { page, expectStatus, check, close } = await openPage(browser, guarded.base);
    expectStatus(401, "Unauthorized");
    await page.goto(`${guarded.base}/runs/new?example=quick`);
    await page.waitForURL(/\/nas\/login/);
    await page.getByLabel("Token").fill("wrong-token-altogether");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Token").fill("a-long-enough-token");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/nas\/runs\/new\?example=quick$/);
    await page.locator("[data-cost]:not([aria-busy])").waitFor();
    const addresses = await page.locator("a[href], link[href], script[src], img[src], form[action]").evaluateAll((all) =>
      all.map((one) => one.getAttribute("href") ?? one.getAttribute("src") ?? one.getAttribute("action")),
    );
    assert.deepEqual(addresses.filter((address) => !address.startsWith("/nas/") && !address.startsWith("#")), []);
    check();
    await close();
  });
});
