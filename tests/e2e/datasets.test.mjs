// People's own data in a real browser: dropped, looked over, searched on, predicted.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { png, shapes, zip } from "./pictures.mjs";
import { api, field, here, noSidewaysScroll, openPage, openSection, startBrowser, startServer, until } from "./support.mjs";
import { unzip } from "./zip.mjs";

const SHOTS = join(here, "shots");
/** Seconds in which a small run ends even on a busy machine. */
const PATIENCE = 240;
const CLASSES = ["disc", "größe 2", "крест"];

let server;
let browser;
before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  [server, browser] = await Promise.all([startServer(), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Drops a file as a hand would. */
async function drop(page, name, bytes) {
  const data = await page.evaluateHandle(
    ([name, text]) => {
      const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name));
      return transfer;
    },
    [name, bytes.toString("base64")],
  );
  const place = page.locator("[data-drop]");
  await place.dispatchEvent("dragenter", { dataTransfer: data });
  await place.dispatchEvent("drop", { dataTransfer: data });
}

/** Waits until a data set can be used, and gives it. */
async function ready(id) {
  let set;
  await until(`${id} is ready`, 60, async () => {
    set = (await api(server.base, "GET", `datasets/${id}`)).body;
    assert.notEqual(set.state, "failed", JSON.stringify(set.incoming));
    return set.state === "ready" && set.incoming === null;
  });
  return set;
}

async function remove(id) {
  assert.equal((await api(server.base, "DELETE", `datasets/${id}`)).status, 204);
}

describe("people's own data", () => {
  test("a zip of class folders becomes a network that tells its pictures apart", async () => {
    const files = shapes(CLASSES, 70);
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/datasets`);
    await drop(page, "My shapes.zip", zip(files));
    await page.waitForURL(/datasets\/my-shapes$/);
    await page.getByRole("heading", { name: "What was found" }).waitFor();
    const set = await ready("my-shapes");
    assert.deepEqual([set.classes, set.shape.channels, set.shape.height], [CLASSES, 3, 28]);
    for (const name of CLASSES) await page.getByRole("rowheader", { name }).waitFor();
    const shown = await page.locator(".sheet img").first().evaluate((image) => image.decode().then(() => image.naturalWidth));
    assert.equal(shown, 28);
    await page.locator("#class").selectOption("1");
    await page.waitForURL(/class=1/);
    assert.deepEqual(new Set(await page.locator(".sheet figcaption").allTextContents()), new Set([CLASSES[1]]));
    await page.getByRole("link", { name: "Search on it" }).first().click();
    await page.waitForURL(/runs\/new\?dataset=my-shapes$/);
    assert.equal(await field(page, "dataset.id").inputValue(), "my-shapes");
    await page.locator("[data-cost]:not([aria-busy])").waitFor();
    await openSection(page, "space");
    await field(page, "space.channels").fill("4");
    await openSection(page, "search");
    await field(page, "search.epochs").fill("3");
    await field(page, "search.batch_size").fill("16");
    await openSection(page, "after");
    await field(page, "after.from_scratch.epochs").fill("6");
    await page.locator("[data-submit]").click();
    await page.waitForURL(/runs\/[0-9a-f-]{36}$/);
    const id = page.url().split("/").at(-1);
    await until("the search ends", PATIENCE, async () => {
      const { body } = await api(server.base, "GET", `runs/${id}`);
      assert.notEqual(body.status, "failed", JSON.stringify(body.failure));
      return body.status === "succeeded";
    });
    await page.reload();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: /Download/ }).first().click()]);
    const found = unzip(readFileSync(await download.path()));
    const said = JSON.parse([...found].find(([name]) => name.endsWith("preprocess.json"))[1].toString());
    assert.deepEqual(said.classes, CLASSES);
    const card = [...found].find(([name]) => name.endsWith("MODEL_CARD.md"))[1].toString();
    assert.ok(card.includes(set.digest), "the model card names the content");
    const disc = files.find(({ path }) => path.startsWith("disc/"));
    await page.locator("[data-try-file]").setInputFiles({ name: "disc.png", mimeType: "image/png", buffer: disc.bytes });
    await page.locator("[data-try-classes] tbody tr").first().waitFor();
    const names = await page.locator("[data-try-classes] tbody th").allTextContents();
    assert.deepEqual(new Set(names), new Set(CLASSES));
    check();
    await close();
    await api(server.base, "DELETE", `runs/${id}`);
    await remove("my-shapes");
  });

  test("a folder goes as it is, long names and hidden files too", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "skein-folder-"));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    const files = shapes(["a", "b"], 8);
    files.push({ path: `a/${"long ".repeat(30)}ß.png`, bytes: png(28, () => [1, 2, 3]) }, { path: "a/.hidden", bytes: Buffer.from("x") });
    for (const { path, bytes } of files) {
      mkdirSync(dirname(join(folder, "Things", path)), { recursive: true });
      writeFileSync(join(folder, "Things", path), bytes);
    }
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/datasets`);
    await page.locator("[data-folder]").setInputFiles(join(folder, "Things"));
    await page.waitForURL(/datasets\/things$/);
    const set = await ready("things");
    assert.deepEqual([set.classes, set.train_images + set.test_images], [["a", "b"], 17]);
    check();
    await close();
    await remove("things");
  });

  test("an upload outlives a lost connection, a lost answer and a closed page", async () => {
    // Pictures of noise, which no archive makes smaller.
    const noise = () => png(200, () => [...randomBytes(3)]);
    const files = ["a", "b"].flatMap((name) => Array.from({ length: 20 }, (_, i) => ({ path: `${name}/${i}.png`, bytes: noise() })));
    const bytes = zip(files);
    assert.ok(bytes.length > 3 << 20, "several parts");
    const opened = await openPage(browser, server.base);
    let { page } = opened;
    await page.goto(`${server.base}/datasets`);
    let [count, held] = [0, null];
    await page.route("**/parts?*", async (route) => {
      count += 1;
      if (count === 1) return route.abort("connectionreset");
      if (count === 2) {
        // It arrives, and the answer is lost.
        await route.fetch();
        return route.abort("connectionreset");
      }
      if (count >= 4) return new Promise(() => (held = true));
      return route.continue();
    });
    await page.evaluate(() => (window.onbeforeunload = null));
    await drop(page, "noise.zip", bytes);
    await until("some parts are there", 30, () => held !== null);
    const before = (await api(server.base, "GET", "datasets/noise")).body.incoming;
    assert.ok(before.received >= 1 << 20 && before.received < bytes.length, JSON.stringify(before));
    await opened.close();
    const next = await openPage(browser, server.base);
    page = next.page;
    await page.goto(`${server.base}/datasets`);
    await page.locator("[data-coming='noise']", { hasText: "Drop it again" }).waitFor();
    const offsets = [];
    page.on("request", (request) => {
      const offset = /parts\?offset=(\d+)/.exec(request.url())?.[1];
      if (offset) offsets.push(Number(offset));
    });
    await drop(page, "noise.zip", bytes);
    await page.waitForURL(/datasets\/noise$/);
    assert.equal(offsets[0], before.received, "nothing is sent twice");
    await ready("noise");
    next.check();
    await next.close();
    await remove("noise");
  });

  test("what cannot be used says why, and is dismissed; an upload is cancelled", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/datasets`);
    await drop(page, "only.zip", zip(shapes(["only"], 4)));
    await page.waitForURL(/datasets\/only$/);
    const alert = page.getByRole("alert");
    await alert.waitFor();
    assert.match(await alert.textContent(), /only\.zip cannot be used.*one class/is);
    await page.screenshot({ path: join(SHOTS, "dataset-refused.png"), fullPage: true });
    await page.getByRole("button", { name: "Dismiss" }).click();
    await page.waitForURL(/datasets$/);
    await page.route("**/parts?*", () => new Promise(() => {}));
    await drop(page, "held.zip", zip(shapes(["a", "b"], 4)));
    await until("it has begun", 30, async () => (await api(server.base, "GET", "datasets/held")).status === 200);
    await page.locator("[data-upload]").getByRole("button", { name: "Cancel" }).click();
    await until("it is gone", 30, async () => (await api(server.base, "GET", "datasets/held")).status === 404);
    await until("so is its line", 30, async () => (await page.locator("[data-upload]").count()) === 0);
    check();
    await close();
  });

  for (const [width, scheme] of [[1440, "light"], [1440, "dark"], [390, "light"], [390, "dark"]]) {
    test(`the pages read well at ${width} in ${scheme}`, async () => {
      if ((await api(server.base, "GET", "datasets/forms")).status === 404) {
        const files = shapes(["disc", "square", "cross"], 40, 40);
        files.push({ path: "disc/broken.png", bytes: files[0].bytes.subarray(0, 200) }, { path: "cross/notes.txt", bytes: Buffer.from("x") });
        files.push({ path: "square/again.png", bytes: files[3].bytes });
        const made = await fetch(`${server.base}/api/v1/datasets?file_name=Forms.zip`, { method: "POST", headers: { "content-type": "application/octet-stream" }, body: zip(files) });
        assert.equal(made.status, 201);
        await ready("forms");
      }
      const { page, check, close } = await openPage(browser, server.base, { width, scheme });
      for (const path of ["datasets", "datasets/forms"]) {
        await page.goto(`${server.base}/${path}`);
        await page.evaluate(() => Promise.all([...document.images].map((image) => ((image.loading = "eager"), image.decode().catch(() => {})))));
        await noSidewaysScroll(page, path);
        await page.screenshot({ path: join(SHOTS, `${path.replace("/", "-")}-${scheme}-${width}.png`), fullPage: true });
        const { violations } = await new AxeBuilder({ page }).analyze();
        const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes[0].target}`), [], `${path} in ${scheme} at ${width}`);
      }
      check();
      await close();
    });
  }
});
