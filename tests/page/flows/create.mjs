/** The form of a new key. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";
import { takeSecret } from "../steps.mjs";

test("the API's errors stand at their fields, and what was typed stays", async (visit) => {
  visit.expected.push(/net::ERR_FAILED/);
  const page = await visit.signIn("#/keys/new?scope=files:read&expires=30d");
  assert.ok(await page.getByRole("checkbox", { name: "files:read" }).isChecked());
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("A name has at least 1 character.").waitFor();
  assert.equal(await page.getByLabel("Name", { exact: true }).getAttribute("aria-invalid"), "true");
  await page.getByLabel("Name", { exact: true }).fill("typed");
  await page.route("**/v1/api-keys", (route) => route.abort());
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("The service can't be reached.").waitFor();
  assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "typed");
  await page.unroute("**/v1/api-keys");
  await page.getByRole("button", { name: "Create key" }).click();
  await takeSecret(page);
});
