/** The list: filters, search and addresses. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

test("filters stand in the address, and a pasted secret does not", async (visit) => {
  const { key, secret } = await visit.issue("needle", ["files:write"]);
  const page = await visit.signIn();
  const search = page.getByRole("searchbox");
  await search.fill("needle");
  await page.getByRole("rowheader", { name: "bootstrap" }).waitFor({ state: "detached" });
  assert.ok(page.url().includes("q=needle"), page.url());
  await page.reload();
  assert.equal(await search.inputValue(), "needle");
  await page.getByLabel("Status").selectOption("revoked");
  await page.getByText("No key matches").waitFor();
  await page.goBack();
  await page.getByRole("link", { name: "needle" }).waitFor();
  await search.fill(key.hint);
  await page.getByRole("link", { name: "needle" }).waitFor();
  await search.fill(secret);
  await page.waitForURL((url) => url.hash.includes(secret.slice(-4)));
  await page.getByRole("link", { name: "needle" }).waitFor();
  assert.ok(!page.url().includes(secret), "the secret is in no address");
});
