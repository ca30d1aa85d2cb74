/**
 * Alerts in a page of a host, of an organization that is told of its keys: `node alerts.mjs <browser> <address of the host's
 * page> "" all`. The host is `tests/console/embedded`, and what there is to tell stands in its `told.rs`.
 */

import assert from "node:assert/strict";
import { assertAccessible, main, test } from "./harness.mjs";
import { takeSecret, wholeDocument } from "./steps.mjs";

/** Opens the host's page as somebody whom the host has signed in. */
async function signedIn(visit, name, address = "") {
  const page = await visit.open();
  await page.goto(`${visit.service.origin}/login?as=${name}`);
  await page.goto(`${visit.service.page}${address}`);
  return page;
}

test(
  "alerts are sentences with what helps, and leave when somebody acknowledges them",
  async (visit) => {
    // Pages of three, and of two for what marks keys, so that there are several.
    await visit.context.route(/\/v1\/alerts\?.*limit=(50|200)/, (route) => {
      const url = route.request().url().replace("limit=50", "limit=3").replace("limit=200", "limit=2");
      return route.continue({ url });
    });
    const page = await signedIn(visit, "alice");
    const open = (name) => page.getByRole("navigation", { name: "Console" }).getByRole("link", { name, exact: true });
    await open("Alerts 5 open").waitFor();
    const key = (name) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
    assert.deepEqual(await key("deploy-bot").locator(".marks a").allInnerTexts(), [
      "Expires soon",
      "Not used",
      "Rotation due",
    ]);
    assert.deepEqual(await key("ci").locator(".marks a").allInnerTexts(), ["Rotation due", "Unusual use"]);
    assert.equal(await key("moved").locator(".marks a").count(), 0);
    await assertAccessible(visit, page, "marks");
    await key("deploy-bot").getByRole("link", { name: "Not used" }).click();
    await page.getByText(/^Only deploy-bot\. /).waitFor();
    const rows = page.getByRole("table", { name: "Alerts" }).locator("tbody").getByRole("row");
    await rows.nth(2).waitFor();
    assert.equal(await rows.count(), 3);
    await page.getByRole("link", { name: "Show all keys" }).click();
    await page.getByRole("button", { name: "Show older" }).click();
    await rows.nth(4).waitFor();
    const said = (await rows.locator(".says").allInnerTexts()).sort();
    assert.match(
      said.shift(),
      /^ci was used 12,000 times between \d\d:00 and \d\d:00 on \d+ \w+, 40 times as often as usual$/,
    );
    assert.deepEqual(said, [
      "ci’s secret is 97 days old",
      "deploy-bot expires in 6 days",
      "deploy-bot has not been used for 97 days",
      "deploy-bot’s secret is 97 days old",
    ]);
    await assertAccessible(visit, page, "open alerts");
    // What helps is done where it stands.
    const old = rows.filter({ hasText: "ci’s secret" });
    await old.getByRole("button", { name: "Rotate…" }).click();
    await page.getByRole("dialog").getByText("The key gets a new secret").waitFor();
    await page.keyboard.press("Escape");
    await rows.filter({ hasText: "12,000" }).getByRole("link", { name: "What it did" }).waitFor();
    await rows.filter({ hasText: "expires in" }).getByRole("link", { name: "Extend" }).waitFor();
    const second = await rows.nth(1).locator(".says").textContent();
    await rows.filter({ hasText: "12,000" }).getByRole("button", { name: "Acknowledge" }).press("Enter");
    await open("Alerts 4 open").waitFor();
    assert.equal(await rows.count(), 4);
    assert.equal(await rows.nth(0).locator(".says").textContent(), second);
    const next = rows.nth(0).getByRole("button", { name: "Acknowledge" });
    assert.ok(await next.evaluate((one) => one.matches(":focus")), "the next alert has the focus");
    await page.reload();
    await page.getByRole("button", { name: "Show older" }).click();
    await rows.nth(3).waitFor();
    assert.equal(await rows.count(), 4);
    await page.getByLabel("Select deploy-bot’s secret is 97 days old").check();
    await page.getByLabel("Select deploy-bot has not been used for 97 days").check();
    await page.getByRole("group", { name: "Selected alerts" }).getByRole("button", { name: "Acknowledge" }).click();
    await open("Alerts 2 open").waitFor();
    assert.equal(await rows.count(), 2);
    await page.getByLabel("Event").selectOption("Not used");
    await page.getByText("Nothing matches.").waitFor();
    await page.getByLabel("State").selectOption("Open and acknowledged");
    await rows.getByText(/Acknowledged .* by alice/).waitFor();
    await page.waitForURL(/#\/alerts\?show=all&event=key\.unused$/);
    // A key's own page says what is open.
    await rows.getByRole("link", { name: "deploy-bot" }).click();
    await page.getByText(/^This key expires in 6 days\.$/).waitFor();
    await assertAccessible(visit, page, "a key with an alert");
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByText(/^This key expires/).waitFor({ state: "detached" });
    await open("Alerts 1 open").click();
    await rows.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByRole("heading", { name: "Nothing is open" }).waitFor();
    await open("Alerts").waitFor();
  },
  { viewport: { width: 390, height: 844 } },
);

test("an admin sets from when on there are alerts, and others see it", async (visit) => {
  const page = await signedIn(visit, "alice", "#/alerts/settings");
  const field = (name) => page.getByLabel(name, { exact: true });
  await field("Days before a key expires").fill("14, 1,3");
  await field("Days without use").fill("a month");
  await page.getByRole("button", { name: "Save settings" }).click();
  await page.getByText("Whole numbers only.").waitFor();
  assert.ok(await field("Days without use").evaluate((one) => one.matches(":focus")));
  await assertAccessible(visit, page, "settings");
  await field("Days without use").fill("");
  await field("Days until a rotation is due").fill("4000");
  await page.keyboard.press("Enter");
  await page.getByText("1 to 3650 days, or null for never.", { exact: false }).waitFor();
  await field("Days until a rotation is due").fill("90");
  await field("Least requests of an unusual hour").fill("2,000");
  await page.keyboard.press("Enter");
  await page.getByText("The settings were saved.").waitFor();
  await page.getByRole("link", { name: "Keys", exact: true }).click();
  const cards = page.getByRole("navigation", { name: "What needs attention" });
  await cards.getByRole("link", { name: /Expiring soon within 14 days/ }).waitFor();
  assert.equal(await cards.getByRole("link", { name: /Not used lately/ }).count(), 0);
  const other = await signedIn(visit, "rita", "#/alerts");
  await other.getByRole("link", { name: "Settings" }).click();
  await other.getByText("Whoever has the scope keys:admin may change them.").waitFor();
  const shown = await other.locator("dl.details dd").allInnerTexts();
  assert.deepEqual(shown, ["1, 3, 14", "Never", "90", "10", "2,000"]);
  await other.getByRole("link", { name: "Alerts", exact: true }).last().click();
  await other.getByRole("heading", { name: "Alerts" }).waitFor();
  assert.equal(await other.getByRole("link", { name: "Webhooks" }).count(), 0);
});

test("a webhook's whole life: its secret once, a test, its deliveries, and its end", async (visit) => {
  const page = await signedIn(visit, "alice", "#/alerts");
  await page.getByRole("link", { name: "Webhooks" }).click();
  const dialog = page.getByRole("dialog");
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  await press("Add webhook…");
  await dialog.getByLabel("Address").fill("ftp://example.com");
  await press("Add webhook");
  await dialog.getByText("Must begin with https://.").waitFor();
  await assertAccessible(visit, page, "a new webhook");
  await dialog.getByLabel("Address").fill("https://up.example.com/alerts");
  await dialog.getByLabel("Revoked").check();
  await press("Add webhook");
  const secret = await takeSecret(page);
  assert.match(secret, /^whsec_/);
  await page.getByRole("heading", { name: "https://up.example.com/alerts" }).waitFor();
  assert.ok(!(await wholeDocument(page)).includes(secret));
  await press("Send a test");
  await dialog.getByText("The receiver took the message and answered 204.").waitFor();
  await press("Close");
  await press("Rotate secret…");
  await dialog.getByLabel("1 hour").check();
  await press("Rotate secret");
  assert.notEqual(await takeSecret(page), secret);
  await page.getByText("Signs messages, too, until").waitFor();
  await press("Disable");
  await page.getByText("Disabled", { exact: true }).waitFor();
  await press("Enable");
  await page.getByText("Enabled", { exact: true }).waitFor();
  await press("Delete…");
  await dialog.getByText("gets nothing any more").waitFor();
  await press("Delete webhook");
  await page.getByRole("row").filter({ hasText: "up.example.com" }).waitFor({ state: "detached" });
  // The other's receiver was down for more than three days.
  await page.getByRole("link", { name: "https://down.example.com/alerts" }).click();
  const parked = page.getByRole("row").filter({ hasText: "Parked" });
  await parked.getByText("no answer within 10 s").waitFor();
  await assertAccessible(visit, page, "a webhook");
  await press("Send a test");
  await dialog.getByText("Not taken: no answer within 10 s.").waitFor();
  await press("Close");
  await press("Edit…");
  await dialog.getByLabel("Address").fill("https://moved.example.com/alerts");
  await press("Save changes");
  await page.getByRole("heading", { name: "https://moved.example.com/alerts" }).waitFor();
  await parked.getByRole("button", { name: "Send again" }).click();
  await parked.waitFor({ state: "detached" });
  await page.getByText("It will be sent again.").waitFor();
  const taken = page.getByRole("row").filter({ hasText: "Delivered" }).filter({ hasText: "Created" });
  for (let asked = 0; (await taken.count()) === 0; asked += 1) {
    assert.ok(asked < 100, "it is never delivered");
    await page.getByRole("combobox", { name: "State" }).selectOption(asked % 2 ? "" : "delivered");
    await page.locator(".results:not([aria-busy])").waitFor();
  }
  await taken.getByText("the receiver answered 204").waitFor();
});

await main();
