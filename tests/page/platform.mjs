/**
 * The pages of `examples/platform-api`, as its customers walk through them: `node platform.mjs <browser> <address> <the
 * members' password> all`. Eli has a key with a month of usage.
 */

import assert from "node:assert/strict";
import { assertAccessible, main, test } from "./harness.mjs";
import { takeSecret } from "./steps.mjs";

async function signIn(page, password) {
  await page.getByLabel("Email").fill("dana@acme.example");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Calls the product as a program does, and returns the status. */
async function status(visit, key) {
  const answer = await fetch(`${visit.service.origin}/v1/account`, { headers: { Authorization: `Bearer ${key}` } });
  await answer.text();
  return answer.status;
}

/** Creates a key on the page, and returns its secret. */
async function create(page, name) {
  await page.getByRole("link", { name: "Create key" }).click();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Create key" }).click();
  const secret = await takeSecret(page);
  await page.getByRole("heading", { name }).waitFor();
  return secret;
}

test("a member makes keys, uses one, loses it, finds out what it did, and ends it", async (visit) => {
  const page = await visit.open();
  await signIn(page, "a wrong password");
  await page.getByText("Wrong address or password.").waitFor();
  await assertAccessible(visit, page, "the sign-in");
  await signIn(page, visit.service.key);
  await page.getByText("acme · free").waitFor();
  await page.getByRole("link", { name: "Eli's laptop" }).waitFor();
  await assertAccessible(visit, page, "the product's page");

  const lost = await create(page, "Checkout backend");
  assert.match(lost, /^plt_live_[0-9A-Za-z]{32}$/);
  assert.equal(await status(visit, lost), 200);
  const production = page.url();
  await page.goto(visit.service.page);
  const spare = await create(page, "Spare");
  await page.goto(`${visit.service.page}#/keys/new`);
  await page.getByText("3 of 3 keys; your plan allows 3.").waitFor();
  await page.getByLabel("Name", { exact: true }).fill("One too many");
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByRole("alert").getByText("3 of 3 keys; your plan allows 3.").waitFor();
  await page.getByLabel("Plan").selectOption({ label: "team: 25 keys" });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("acme · team").waitFor();
  await create(page, "Development");

  // Usage, by key and by environment, with its spike.
  await page.goto(`${visit.service.page}#/usage`);
  await page.getByText("▲ marks spikes").waitFor();
  const live = page.getByRole("row").filter({ hasText: "live" }).first();
  assert.match(await live.textContent(), /2\d,\d{3}/, "a month of requests, and a spike");
  await page.getByRole("link", { name: "Keys", exact: true }).click();
  const cards = page.getByRole("navigation", { name: "What needs attention" });
  await cards.getByRole("link", { name: /^1 Spikes/ }).waitFor();

  // What the lost key did is there once it is written, a moment later.
  await page.goto(production);
  await page.waitForFunction(async () => {
    const answer = await fetch(`/keys/v1/api-keys/${location.hash.split("/").at(-1)}/activity`);
    return (await answer.json()).items.length > 0;
  });
  await page.reload();
  await page.getByText("GET /v1/account").waitFor();
  await page.getByRole("button", { name: "Revoke…" }).click();
  await page.getByLabel("Reason").fill("lost");
  await page.getByLabel("Type the key's name").fill("Checkout backend");
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("Revoked on").waitFor();
  assert.deepEqual([await status(visit, lost), await status(visit, spare)], [401, 200]);

  // Somebody else finds one, and reports it.
  const report = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: spare }),
  };
  assert.equal((await fetch(`${visit.service.origin}/report-leak`, report)).status, 202);
  assert.equal(await status(visit, spare), 401);
  await page.goto(visit.service.page);
  await page.getByText("1 key was reported as leaked in the last 30 days.").waitFor();
  await page.getByRole("link", { name: "See which" }).click();
  await page.getByText("Reason: reported as leaked").waitFor();

  // Eli leaves.
  await page.getByRole("link", { name: "Remove…" }).click();
  const row = page.getByRole("row").filter({ hasText: "Eli's laptop" });
  assert.match(await row.textContent(), /1[0-9]{4}\s+ends/, "a week of requests");
  await assertAccessible(visit, page, "somebody who leaves");
  await page.getByRole("button", { name: "Remove eli@acme.example and end these keys" }).click();
  await page.getByText("1 key was ended.").waitFor();
  await page.getByRole("link", { name: "Back to the API keys" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.goto(`${visit.service.origin}/keys/`);
  await page.getByRole("heading", { name: "You are not signed in" }).waitFor();
});

await main();
