/** The secret's dialog: what is left behind, and what keeps it open. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";
import { takeSecret } from "../steps.mjs";

test("a secret's dialog stays until the secret is stored", async (visit) => {
  const page = await visit.signIn();
  await page.getByRole("link", { name: "Create key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("guarded");
  await page.getByRole("button", { name: "Create key" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  for (const _ of [1, 2, 3]) await page.keyboard.press("Escape");
  await dialog.waitFor();
  await page.goBack();
  await dialog.waitFor();
  assert.ok(page.url().includes("#/keys/new"), page.url());
  assert.ok(await dialog.getByRole("button", { name: "Done" }).isDisabled());
  await takeSecret(page);
});
