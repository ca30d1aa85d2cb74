/**
 * The leak drill on the page of a registry whose keys have no scopes: `node leak.mjs <browser> <address of the page> <key>`.
 * The service is `examples/registry-api`.
 */

import assert from "node:assert/strict";
import { assertAccessible, main, test } from "./harness.mjs";
import { takeSecret } from "./steps.mjs";

/** The beginning of the next second, as a field for a time takes it, once it has come. */
async function nextSecond(page) {
  const at = Math.ceil((Date.now() + 1) / 1_000) * 1_000;
  while (Date.now() < at) await page.waitForTimeout(at - Date.now());
  return page.evaluate((moment) => {
    const local = new Date(moment);
    return new Date(moment - local.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  }, at);
}

test("a key leaks, and the page tells what it did meanwhile, from where, and what it changed", async (visit) => {
  const page = await visit.signIn("#/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("release-robot");
  await page.getByRole("button", { name: "Create key" }).click();
  const secret = await takeSecret(page);
  await page.getByRole("heading", { name: "release-robot" }).waitFor();
  await page.getByText("None. Here only managing keys needs a scope.").waitFor();

  const send = async (agent, method, path, body) => {
    const headers = { Authorization: `Bearer ${secret}`, "User-Agent": agent, "Content-Type": "application/json" };
    const answer = await fetch(`${visit.service.origin}/v1/${path}`, { method, headers, body });
    await answer.text();
    return answer.status;
  };
  assert.equal(await send("registry", "PUT", "bundles/tools/versions/1.0.0", "the bundle"), 201);
  const from = await nextSecond(page);
  assert.equal(await send("<b>thief</b>", "GET", "bundles/tools/versions/1.0.0"), 200);
  assert.equal(await send("<b>thief</b>", "PUT", "bundles/tools/versions/1.0.1", "something else"), 201);
  assert.equal(await send("<b>thief</b>", "PUT", "bundles/tools/versions/1.0.0", "something else"), 409);
  const to = await nextSecond(page);
  assert.equal(await send("registry", "GET", "bundles"), 200);

  await page.reload();
  await page.getByRole("link", { name: "What it did, from where, and what it changed" }).click();
  await page.getByRole("heading", { name: "What release-robot did" }).waitFor();
  const rows = async (name) => {
    const all = await page.getByRole("table", { name, exact: true }).getByRole("row").all();
    return Promise.all(all.slice(1).map((row) => row.locator("th, td").allTextContents()));
  };
  const isShown = (count) => page.getByText(count, { exact: true }).first().waitFor();
  await isShown("127.0.0.1 · registry");
  assert.equal((await rows("From where")).length, 2);

  await page.getByLabel("From", { exact: true }).fill(from);
  await page.getByLabel("To", { exact: true }).fill(to);
  await page.getByLabel("To", { exact: true }).press("Tab");
  await page.getByText("127.0.0.1 · registry", { exact: true }).first().waitFor({ state: "detached" });
  const [source, ...none] = await rows("From where");
  assert.deepEqual([source.slice(0, 3), none], [["127.0.0.1 · <b>thief</b>", "3", "1"], []]);
  const changed = (await rows("What it changed")).map((row) => row.slice(0, 3));
  assert.deepEqual(changed, [["PUT /v1/bundles/tools/versions/1.0.1", "201", "127.0.0.1 · <b>thief</b>"]]);
  assert.deepEqual(await rows("What else it asked for"), [
    ["PUT /v1/bundles/tools/versions/1.0.0", "409", "1"],
    ["GET /v1/bundles/tools/versions/1.0.0", "200", "1"],
  ]);
  await page.getByText("Nothing is recorded.").waitFor();
  await assertAccessible(visit, page, "what a key did");
  await page.setViewportSize({ width: 390, height: 800 });
  await assertAccessible(visit, page, "what a key did, on a phone");
  await page.setViewportSize({ width: 1280, height: 900 });
  // The address is the report: another administrator who opens it sees the same.
  await page.reload();
  await page.getByText("127.0.0.1 · <b>thief</b>").first().waitFor();
  assert.equal((await rows("From where")).length, 1);

  await page.getByRole("link", { name: "release-robot" }).click();
  await page.getByRole("button", { name: "Revoke…" }).click();
  await page.getByLabel("Reason").fill("leaked");
  await page.getByLabel("Type the key's name").fill("release-robot");
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("Revoked on").waitFor();
  assert.equal(await send("<b>thief</b>", "GET", "bundles"), 401);
});

await main();
