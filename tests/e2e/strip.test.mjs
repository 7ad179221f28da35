// The strip of devices: one that has room, and many with several runs on each.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { noSidewaysScroll, openPage, startBrowser, startServer, work } from "./support.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(async () => browser?.close());

describe("one device", () => {
  let server;
  before(async () => {
    server = await startServer({ fake: true, env: { FAKE_DEVICES: "cpu" } });
    await work(server, ["DrNAS on a toy cell, seed 9001 steps=4000 pace=20"], "cpu");
  });
  after(async () => server?.stop());

  test("a name that has room is not cut", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs`);
    const name = page.locator("[data-strip] li a");
    const [content, shown] = await name.evaluate((link) => [link.scrollWidth, link.clientWidth]);
    assert.ok(shown > 0 && content <= shown, `${shown} of ${content} px`);
    check();
    await close();
  });
});

describe("many devices", () => {
  const names = Array.from({ length: 6 }, (_, seed) => `seed ${seed} steps=4000 pace=20`);
  let server;
  before(async () => {
    server = await startServer({ fake: true, env: { FAKE_DEVICES: "cpu,cuda:0,cuda:1", SKEIN_RUNS_PER_GPU: "3" } });
    await work(server, names, "cuda");
  });
  after(async () => server?.stop());

  for (const [width, least] of [[1440, 120], [390, 50]]) {
    test(`at ${width} px every run can be read and reached`, async () => {
      const { page, check, close } = await openPage(browser, server.base, { width });
      await page.goto(`${server.base}/runs`);
      const strip = page.locator("[data-strip]");
      const links = strip.locator("li a");
      assert.deepEqual((await links.evaluateAll((all) => all.map((one) => one.title))).sort(), names);
      for (const link of await links.all()) {
        await link.scrollIntoViewIfNeeded();
        const [box, frame] = [await link.boundingBox(), await strip.boundingBox()];
        assert.ok(box.width >= least, `a name is squeezed to ${box.width} px`);
        assert.ok(box.x >= frame.x && box.x + box.width <= frame.x + frame.width, `a run stays outside of the strip: ${JSON.stringify([box, frame])}`);
      }
      await noSidewaysScroll(page, "the list with a full strip");
      check();
      await close();
    });
  }
});
