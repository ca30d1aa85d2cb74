/**
 * A customer's way with a key on the page of a template: `node customer.mjs <browser> <address of the page> <key> all <path of
 * a list> <its scope or role>`.
 */

import assert from "node:assert/strict";
import { assertAccessible, main, test } from "./harness.mjs";
import { takeSecret } from "./steps.mjs";

test("a key is made, used and lost; the page tells what it did, ends it, and makes another", async (visit) => {
  const { page: path, key: scope } = visit.service.proxied;
  const status = async (key) => {
    const answer = await fetch(visit.service.origin + path, { headers: { Authorization: `Bearer ${key}` } });
    await answer.text();
    return answer.status;
  };
  const page = await visit.signIn("#/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("a partner");
  await page.locator(`input[value="${scope}"]`).check();
  await assertAccessible(visit, page, "a new key");
  await page.getByRole("button", { name: "Create key" }).click();
  const secret = await takeSecret(page);
  await page.getByRole("heading", { name: "a partner" }).waitFor();

  assert.equal(await status(secret), 200);
  // Requests are written a moment later.
  const id = page.url().split("/").at(-1);
  const isWritten = async (key) => {
    const answer = await fetch(`v1/api-keys/${key}/activity`);
    return (await answer.json()).items.length > 0;
  };
  await page.waitForFunction(isWritten, id);
  await page.getByRole("link", { name: "What it did, from where, and what it changed" }).click();
  await page.getByText(`GET ${path}`).first().waitFor();

  // The dashboard counts what all keys do.
  await page.waitForFunction(async () => (await (await fetch("v1/usage")).json()).ok > 0);
  await page.goto(`${visit.service.page}#/usage`);
  await page
    .getByText(/^[1-9][0-9]* accepted$/)
    .first()
    .waitFor();
  await assertAccessible(visit, page, "the usage");
  await page.goto(`${visit.service.page}#/keys/${id}`);

  // It gets a new secret. The old one goes on for a while.
  await page.getByRole("button", { name: "Rotate…" }).click();
  await page.getByRole("radio", { name: "1 hour" }).check();
  await page.getByRole("button", { name: "Rotate key" }).click();
  const newer = await takeSecret(page);
  assert.deepEqual([await status(secret), await status(newer)], [200, 200]);

  // Revoking asks for confirmation, and so does deleting.
  await page.getByRole("button", { name: "Revoke…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.deepEqual([await status(secret), await status(newer)], [200, 200]);
  await page.getByRole("button", { name: "Revoke…" }).click();
  await page.getByLabel("Reason").fill("lost");
  await page.getByLabel("Type the key's name").fill("a partner");
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("Revoked on").waitFor();
  assert.deepEqual([await status(secret), await status(newer)], [401, 401]);
  await page.getByRole("link", { name: "Create another" }).click();
  await page.getByRole("button", { name: "Create key" }).click();
  assert.equal(await status(await takeSecret(page)), 200);

  await page.goto(`${visit.service.page}#/keys/${id}`);
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByText("Revoked on").waitFor();
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("button", { name: "Delete key" }).click();
  await page.getByRole("heading", { name: "API keys" }).waitFor();
  const headers = { Authorization: `Bearer ${visit.service.key}` };
  assert.equal((await fetch(`${visit.service.page}v1/api-keys/${id}`, { headers })).status, 404);
});

await main();
