/** A key's whole life, as the README tells it. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";
import { takeSecret, wholeDocument } from "../steps.mjs";

test("a key's whole life", async (visit) => {
  const page = await visit.signIn();
  await page.getByRole("link", { name: "bootstrap" }).first().waitFor();
  await page.getByRole("link", { name: "Create key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("life of a key");
  await page.getByRole("checkbox", { name: "files:read" }).check();
  await page.getByRole("button", { name: "Create key" }).click();
  const first = await takeSecret(page);
  assert.equal(await visit.status(first), 200);
  assert.ok(!(await wholeDocument(page)).includes(first), "the secret is gone from the document");
  assert.ok(!page.url().includes(first), "the secret is in no address");
  const stored = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
  );
  assert.equal(stored, '[{},{},""]');

  await page.getByRole("heading", { name: "life of a key" }).waitFor();
  await assert.doesNotReject(async () => {
    // Usage is written every few seconds.
    for (let attempt = 0; !(await page.getByText("1 accepted", { exact: true }).isVisible()); attempt += 1) {
      assert.ok(attempt < 40, "its use is never shown");
      await page.waitForTimeout(500);
      await page.reload();
      await page.getByText("refused for a missing scope").waitFor();
    }
  });

  await page.getByRole("button", { name: "Rotate…" }).click();
  await page.getByRole("radio", { name: "1 hour" }).check();
  await page.getByRole("button", { name: "Rotate key" }).click();
  const second = await takeSecret(page);
  assert.deepEqual([await visit.status(first), await visit.status(second)], [200, 200]);
  await page.getByRole("button", { name: "End it now" }).click();
  await page.getByText("Old secret", { exact: true }).waitFor({ state: "detached" });
  assert.deepEqual([await visit.status(first), await visit.status(second)], [401, 200]);

  await page.getByRole("button", { name: "Disable" }).click();
  await page.getByRole("button", { name: "Enable" }).waitFor();
  assert.equal(await visit.status(second), 401);
  await page.getByRole("button", { name: "Enable" }).click();
  await page.getByRole("button", { name: "Disable" }).waitFor();
  assert.equal(await visit.status(second), 200);

  // A click on what the next screen replaces would be lost.
  const heading = () => page.getByRole("heading", { name: "life of a key" }).elementHandle();
  const original = await heading();
  await page.getByRole("button", { name: "Duplicate" }).click();
  const copy = await takeSecret(page);
  assert.equal(await visit.status(copy), 200);
  await original.waitForElementState("hidden");
  const copied = await heading();
  await page.goBack();
  await copied.waitForElementState("hidden");

  await page.getByRole("button", { name: "Revoke…" }).click();
  await page.getByLabel("Reason").fill("not needed any more");
  await page.getByLabel("Type the key's name").fill("life of a key");
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("Revoked on").waitFor();
  assert.equal(await visit.status(second), 401);
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("button", { name: "Delete key" }).click();
  await page.getByRole("heading", { name: "API keys" }).waitFor();
});
