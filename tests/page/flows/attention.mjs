/** The first screen: what needs attention, and the keys that it leads to. */

import assert from "node:assert/strict";
import { assertAccessible, test } from "../harness.mjs";

test("what needs attention leads to its keys, by an address", async (visit) => {
  const soon = new Date(Date.now() + 3 * 86_400_000).toISOString();
  await visit.api("POST", "api-keys", { name: "ends soon", scopes: [], expires_at: soon });
  const used = await visit.issue("used once");
  await visit.status(used.secret);
  const page = await visit.signIn();
  const cards = page.getByRole("navigation", { name: "What needs attention" });
  await cards.getByRole("link", { name: /Expiring soon/ }).click();
  await page.waitForURL(/#\/keys\?show=expiring$/);
  await page.getByRole("link", { name: "ends soon" }).waitFor();
  await page.getByRole("link", { name: "used once" }).waitFor({ state: "detached" });
  await page.reload();
  await page.getByRole("link", { name: "ends soon" }).waitFor();
  await cards.getByRole("link", { name: /Never used/ }).click();
  await page.waitForURL(/#\/keys\?show=unused$/);
  await page.getByRole("rowheader", { name: "ends soon" }).waitFor();
  await page.getByRole("rowheader", { name: "bootstrap" }).waitFor({ state: "detached" });
  await assertAccessible(visit, page, "unused keys");
  await cards.getByRole("link", { name: /Never used/ }).click();
  await page.getByRole("rowheader", { name: "bootstrap" }).waitFor();
  // The service sends no webhooks, so there is no way to them.
  await page.goto(`${visit.service.page}#/alerts`);
  await page.getByRole("heading", { name: "Alerts", exact: true }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Webhooks" }).count(), 0);
});
