/** The audit trail, and what is exported for those who read it elsewhere. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { assertAccessible, test } from "../harness.mjs";

test(
  "the audit trail is found by action and target, and leads there",
  async (visit) => {
    const { key } = await visit.issue("audited");
    await visit.api("POST", `api-keys/${key.id}/disable`);
    const page = await visit.signIn("#/audit");
    await page.getByLabel("Action").selectOption("Disabled");
    await page.getByRole("rowheader", { name: "Created" }).first().waitFor({ state: "detached" });
    await page.getByLabel("Key or account").fill(key.id);
    await page.keyboard.press("Tab");
    await page.waitForURL((url) => url.hash.includes(key.id));
    await page.reload();
    await page.getByRole("rowheader", { name: "Disabled" }).waitFor();
    assert.equal(await page.getByRole("row").count(), 2, "the head, and one event");
    const tomorrow = new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10);
    await page.getByLabel("From").fill(tomorrow);
    await page.keyboard.press("Tab");
    await page.getByText("Nothing matches.").waitFor();
    await page.getByLabel("From").fill("");
    await page.keyboard.press("Tab");
    await page.getByRole("link", { name: "audited" }).click();
    await page.getByRole("heading", { name: "audited" }).waitFor();
  },
  { once: true },
);

test(
  "a list is copied, saved and printed whole",
  async (visit) => {
    await visit.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    for (const name of ["=1+1", 'with "quotes", and a comma']) await visit.issue(name);
    const page = await visit.signIn();
    await page.getByRole("button", { name: "Export…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("rows.").waitFor();
    await assertAccessible(visit, page, "export");
    const download = page.waitForEvent("download");
    await dialog.getByRole("button", { name: "Save as CSV" }).click();
    const csv = readFileSync(await (await download).path(), "utf8");
    assert.ok(csv.startsWith("Id,Name,Description,Hint,Status,"), csv);
    assert.ok(csv.includes(",'=1+1,") && csv.includes(',"with ""quotes"", and a comma",'), csv);
    await dialog.getByRole("button", { name: "Copy as CSV" }).click();
    await dialog.getByText("Copied").waitFor();
    assert.equal((await page.evaluate(() => navigator.clipboard.readText())).replaceAll(/\r?\n/g, "\r\n"), csv);
    await page.emulateMedia({ media: "print" });
    // On paper there is no button to press.
    const printed = await page.evaluate(
      () =>
        new Promise((resolve) => {
          const { shadowRoot } = document.querySelector("apikey-console");
          const shows = (name) => shadowRoot.querySelector(name).getClientRects().length > 0;
          window.print = () =>
            resolve([
              shows(".sheet"),
              shows(".content"),
              shows("dialog"),
              shadowRoot.querySelectorAll(".sheet tr").length,
            ]);
          [...shadowRoot.querySelectorAll("dialog button")].find(({ textContent }) => textContent === "Print").click();
        }),
    );
    assert.deepEqual(printed, [true, false, false, csv.trim().split("\r\n").length]);
    assert.equal(await page.locator(".sheet").count(), 0, "the sheet is gone after it was printed");
  },
  { once: true },
);

test(
  "a year's usage is exported a month at a time, and a month that fails is asked for again",
  async (visit) => {
    const page = await visit.signIn("#/usage");
    const asked = [];
    await page.route("**/v1/usage?*", async (route) => {
      const query = new URL(route.request().url()).searchParams;
      const [from, to] = [query.get("from"), query.get("to")];
      // Screens ask without an end.
      if (!to) return route.continue();
      asked.push([from, to]);
      if (asked.length === 2) return route.fulfill({ status: 503, body: "{}" });
      await route.fulfill({ json: { from, to, ok: 1, refused: 0, buckets: [{ start: from, ok: 1, refused: 0 }] } });
    });
    await page.getByRole("button", { name: "Export…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Try again" }).click();
    await dialog.getByText("12 rows.").waitFor();
    assert.deepEqual(asked[1], asked[2]);
    asked.splice(1, 1);
    const days = (Date.parse(asked.at(-1)[1]) - Date.parse(asked[0][0])) / 86_400_000;
    assert.equal(days, 366);
    for (const [n, [from]] of asked.entries()) if (n > 0) assert.equal(from, asked[n - 1][1], "no gap, no overlap");
    const download = page.waitForEvent("download");
    await dialog.getByRole("button", { name: "Save as CSV" }).click();
    const csv = readFileSync(await (await download).path(), "utf8");
    assert.equal(csv.split("\r\n")[0], "Day (UTC),Accepted,Refused");
    assert.equal(csv.trim().split("\r\n").length, 13);
  },
  { once: true },
);
