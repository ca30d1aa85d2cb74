/** What was done to a key, and with it. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

test("a key's history tells who did what, with the values before and after", async (visit) => {
  const maker = await visit.issue("historian", ["*"]);
  const { key } = await visit.api("POST", "api-keys", { name: "before" }, maker.secret);
  const page = await visit.signIn(`#/keys/${key.id}/edit`);
  await page.getByLabel("Name", { exact: true }).fill("after");
  await page.getByRole("button", { name: "Save changes" }).click();
  const history = page.locator("section.panel").filter({ has: page.getByRole("heading", { name: "History" }) });
  const items = history.getByRole("listitem");
  await items.filter({ hasText: "Changed by bootstrap" }).getByText("before → after").waitFor();
  await items.filter({ hasText: "Created by historian" }).waitFor();
});

test("a key's requests are listed where the service keeps a record of them", async (visit) => {
  const { key } = await visit.issue("recorded");
  const page = await visit.signIn(`#/keys/${key.id}`);
  await page.getByText("None. Requests are listed one by one where the service keeps a record").waitFor();
  // The service keeps none, so the page is told of one that tries to be markup.
  const entry = {
    at: new Date(Date.now() - 120_000).toISOString(),
    method: "POST",
    route: "/files/{name}",
    status: 403,
    address: "192.0.2.7",
    user_agent: "<b>curl</b>/8",
  };
  await page.route("**/activity?*", (route) => route.fulfill({ json: { items: [entry], next_cursor: null } }));
  await page.reload();
  const table = page.getByRole("table", { name: "Recent requests" });
  await table.waitFor();
  assert.deepEqual(await table.getByRole("row").last().locator("th, td").allTextContents(), [
    "2 minutes ago",
    "POST /files/{name}",
    "403",
    "192.0.2.7 · <b>curl</b>/8",
  ]);
});
