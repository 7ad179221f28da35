// The queue's page, on one machine and with a cluster; a run that waits in Slurm.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { makeCluster } from "./cluster.mjs";
import { api, noSidewaysScroll, openPage, startBrowser, startServer, until, work } from "./support.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(async () => browser?.close());

const rows = (page, title) => page.locator(`section:has(h2:text-is("${title}")) tbody tr`);

describe("one machine", () => {
  let server;
  before(async () => {
    server = await startServer({ fake: true, env: { FAKE_DEVICES: "cpu" } });
  });
  after(async () => server?.stop());

  test("what works and what waits is shown live, with reasons", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/queue`);
    await page.getByText("Nothing is at work").waitFor();
    assert.equal(await page.locator("[data-check]").count(), 0, "there is no cluster to check");
    const [first] = await work(server, ["first steps=4000 pace=20"], "cpu");
    const { body } = await api(server.base, "POST", "runs", { ...(await api(server.base, "GET", `runs/${first}`)).body.spec, name: "second steps=5" });
    await until("both are listed", 20, async () => (await rows(page, "At work").count()) === 1 && (await rows(page, "Waiting").count()) === 1);
    assert.match(await rows(page, "At work").textContent(), /running.*first.*fake cpu/s);
    assert.match(await rows(page, "Waiting").textContent(), /1\s*second.*This machine.*waits for cpu \(busy with “first.*first in the queue/s);
    await page.locator("[data-strip] a[href$='/queue']").waitFor();
    await api(server.base, "POST", `runs/${first}/cancel`);
    await until("the second has had its turn", 30, async () => (await api(server.base, "GET", `runs/${body.id}`)).body.status === "succeeded");
    await page.getByText("Nothing waits").waitFor();
    check();
    await close();
  });
});

describe("a cluster", () => {
  let server;
  let cluster;
  let run;
  before(async () => {
    cluster = makeCluster();
    server = await startServer({ fake: true, env: cluster.environment });
    const spec = { name: "steps=40 pace=50", dataset: { id: "fashion-mnist", limit: 256 }, space: { preset: "toy-cell" }, search: { optimizer: { kind: "drnas" }, epochs: 2, batch_size: 16 } };
    run = (await api(server.base, "POST", "runs", { ...spec, resources: { device: "cpu", executor: "slurm" } })).body.id;
    await until("it waits in Slurm", 30, async () => (await api(server.base, "GET", `runs/${run}`)).body.cluster?.state === "PENDING");
  });
  after(async () => {
    await server?.stop();
    cluster?.remove();
  });

  for (const [width, scheme] of [[1440, "light"], [390, "dark"]]) {
    test(`the queue at ${width} px, ${scheme}, shows Slurm's queue, partitions and GPUs`, async () => {
      const { page, check, close } = await openPage(browser, server.base, { width, scheme });
      await page.goto(`${server.base}/queue`);
      const waiting = await rows(page, "Waiting").textContent();
      assert.match(waiting, /steps=40.*Slurm.*job 1 is queued: jobs of a higher priority are ahead/s);
      assert.ok((await page.locator("time[data-at]").textContent()).length > 8, "when it is expected to begin");
      const partitions = await rows(page, "Slurm cluster").allTextContents();
      assert.match(partitions[0], /gpu.*takes jobs.*4 nodes: 1 down without an answer, 3 idle.*16 × h100.*2-00:00:00/s);
      assert.match(partitions[1], /old.*takes no jobs.*2 nodes: 2 mixed.*none/s);
      await noSidewaysScroll(page, "the queue");
      const { violations } = await new AxeBuilder({ page }).analyze();
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes[0]?.html]), []);
      check();
      await close();
    });
  }

  test("the way to the cluster is checked with one click", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/queue`);
    await page.getByText("not checked since the server started").waitFor();
    await page.locator("[data-check]").click();
    await page.getByText("checked just now").waitFor({ timeout: 30_000 });
    const found = (await rows(page, "Slurm cluster").allTextContents()).slice(2).join("\n");
    assert.match(found, /slurm\s*ok\s*slurm 22\.05\.8/);
    assert.match(found, /compute node\s*ok.*sees the data folder/);
    assert.equal(await page.locator("[data-check]").isEnabled(), true);
    check();
    await close();
  });

  test("a run says that it waits in Slurm, then on which node it works", async () => {
    const { page, check, close } = await openPage(browser, server.base);
    await page.goto(`${server.base}/runs?status=pending`);
    assert.match(await page.locator("tr[data-key]").textContent(), /pending.*jobs of a higher priority are ahead.*in Slurm's queue/s);
    await page.goto(`${server.base}/runs/${run}`);
    const place = page.locator("[data-place]");
    await until("it says why", 10, async () => /is queued: jobs of a higher priority are ahead, expected to begin at/.test(await place.textContent()));
    assert.equal(await page.locator("[data-fact=phase]").textContent(), "waiting in Slurm");
    assert.equal(await page.locator("[data-fact=device]").isVisible(), false, "it has no device yet");
    cluster.go();
    await until("it says where", 20, async () => /job 1 on node n1/.test(await place.textContent()));
    await until("it has succeeded", 60, async () => (await page.locator("[data-state]").textContent()) === "succeeded");
    check();
    await close();
  });
});
