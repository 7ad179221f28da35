// What pages say when the server is not heard, or not listening to this browser any more.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { noSidewaysScroll, openPage, startBrowser, startServer, work } from "./support.mjs";

const TOKEN = "0123456789abcdef0123456789abcdef";
const NAME = "contact steps=100000 pace=20 wander";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(async () => browser?.close());

const line = (page) => page.locator("[data-contact]");
const pagesOf = (run) => ["/runs", `/runs/${run}`, `/runs/${run}/architectures`, "/runs/new"];

/** A server of its own with a run at work, since it is to die. */
async function serve(env = {}) {
  const server = await startServer({ fake: true, env: { FAKE_DEVICES: "cpu", ...env } });
  const [run] = await work(server, [NAME], "cpu", env.SKEIN_TOKEN);
  return { server, run };
}

describe("a server that has died", () => {
  test("is missed on every page within ten seconds", async () => {
    const { server, run } = await serve();
    const opened = [];
    for (const path of pagesOf(run)) {
      // Half of them as on a phone.
      const one = await openPage(browser, server.base, { width: opened.length % 2 ? 390 : 1440 });
      await one.page.goto(server.base + path);
      assert.ok(await line(one.page).isHidden(), path);
      opened.push(one);
    }
    await server.kill();
    for (const { page } of opened) {
      await line(page).waitFor({ state: "visible", timeout: 10_000 });
      assert.match(await line(page).textContent(), /^Nothing heard from the server since \d+:\d\d:\d\d.*; what is shown may be old\.$/);
      await noSidewaysScroll(page, page.url());
    }
    for (const { close } of opened) await close();
    await server.stop();
  });

  test("that stands still is missed as well, and forgiven", async () => {
    const { server, run } = await serve();
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs/${run}`);
    server.signal("SIGSTOP");
    await line(page).waitFor({ state: "visible", timeout: 10_000 });
    server.signal("SIGCONT");
    await line(page).waitFor({ state: "hidden", timeout: 10_000 });
    check();
    await close();
    await server.stop();
  });
});

describe("a session that has ended", () => {
  test("is said on every page, with a way back", async () => {
    const { server, run } = await serve({ SKEIN_TOKEN: TOKEN });
    for (const path of pagesOf(run)) {
      const { page, close } = await openPage(browser, server.base);
      const logIn = async () => {
        await page.getByLabel("Token").fill(TOKEN);
        await page.getByRole("button", { name: "Log in" }).click();
        await page.waitForURL(server.base + path);
      };
      await page.goto(server.base + path);
      await logIn();
      await page.context().clearCookies();
      await line(page).waitFor({ state: "visible", timeout: 10_000 });
      assert.equal(await line(page).textContent(), "Your session has ended. Log in again");
      await line(page).getByRole("link").click();
      await logIn();
      assert.ok(await line(page).isHidden(), path);
      await close();
    }
    await server.stop();
  });
});
