/** What somebody comes for who has never seen the page: each is done from the first screen, in at most five clicks. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

const MOST_CLICKS = 5;

/** Registers a task. Its clicks go through `click` and `choose`; a choice in a list takes two of them. */
function task(name, run) {
  const counted = async (visit) => {
    let clicks = 0;
    const click = async (place) => {
      clicks += 1;
      await place.click();
    };
    const choose = async (list, option) => {
      clicks += 2;
      await list.selectOption(option);
    };
    await run(visit, { click, choose });
    assert.ok(clicks <= MOST_CLICKS, `${clicks} clicks`);
    console.log(`${name}: ${clicks} clicks`);
  };
  test(`in five clicks: ${name}`, counted, { once: true, permissions: ["clipboard-read", "clipboard-write"] });
}

const button = (page, name) => page.getByRole("button", { name });
const copied = (page) => page.evaluate(() => navigator.clipboard.readText());

task("give CI a key that may only read", async (visit, { click }) => {
  const page = await visit.signIn();
  await click(page.getByRole("link", { name: "Create key" }));
  await page.getByLabel("Name", { exact: true }).waitFor();
  await page.keyboard.type("CI");
  await click(button(page, "Read only"));
  await click(button(page, "Create key"));
  await click(button(page, "Copy Secret"));
  await page.getByText("Copied").waitFor();
  assert.equal(await visit.status(await copied(page)), 200);
  const { items } = await visit.api("GET", "api-keys?q=CI");
  assert.deepEqual(items.find(({ name }) => name === "CI").scopes, ["files:read"]);
});

task("give a service account a key", async (visit, { click }) => {
  const account = await visit.api("POST", "service-accounts", { name: "task account" });
  const page = await visit.signIn();
  await click(page.getByRole("link", { name: "Service accounts" }));
  await click(page.getByRole("link", { name: "task account" }));
  await click(page.getByRole("link", { name: "Create key" }));
  await page.getByLabel("Name", { exact: true }).waitFor();
  await page.keyboard.type("of the account");
  await click(button(page, "Read only"));
  await click(button(page, "Create key"));
  // The button that copies has the focus.
  await button(page, "Copy Secret").waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("Copied").waitFor();
  assert.equal(await visit.status(await copied(page)), 200);
  const { items } = await visit.api("GET", `api-keys?service_account=${account.id}`);
  assert.deepEqual(
    items.map(({ name }) => name),
    ["of the account"],
  );
});

task("find which keys nobody uses", async (visit, { click }) => {
  await visit.issue("task: nobody uses it");
  const page = await visit.signIn();
  await click(page.getByRole("link", { name: /Never used/ }));
  await page.getByRole("rowheader", { name: "bootstrap" }).waitFor({ state: "detached" });
  await page.getByRole("rowheader", { name: "task: nobody uses it" }).waitFor();
});

task("somebody left, end their keys", async (visit, { click, choose }) => {
  const leaver = await visit.issue("task: leaver", ["*"]);
  const theirs = await visit.api("POST", "api-keys", { name: "theirs", scopes: ["files:read"] }, leaver.secret);
  const page = await visit.signIn();
  await click(button(page, "Somebody left…"));
  await choose(page.getByLabel("Who left?"), { label: "task: leaver (key)" });
  await click(button(page, "Show what they made"));
  const dialog = page.getByRole("dialog");
  await dialog.getByText("1 key will be revoked:").waitFor();
  await dialog.getByLabel("Reason").fill("left");
  await dialog.getByLabel("Type the number").fill("1");
  await click(button(page, "Revoke 1 key"));
  await dialog.getByText("1 key was revoked.").waitFor();
  assert.equal(await visit.status(theirs.secret), 401);
});

task("a key leaked yesterday, what did it do", async (visit, { click }) => {
  const leaked = await visit.issue("task: leaked", ["*"]);
  await visit.api("POST", "api-keys", { name: "made by a thief" }, leaked.secret);
  const page = await visit.signIn();
  // Whoever reports a leak has the secret.
  await page.getByRole("searchbox").fill(leaked.secret);
  await page.getByRole("rowheader", { name: "bootstrap" }).waitFor({ state: "detached" });
  await click(page.getByRole("rowheader").getByRole("link", { name: "task: leaked" }));
  await page.getByRole("heading", { name: "Recent requests" }).waitFor();
  await page.getByRole("heading", { name: "Usage" }).waitFor();
  await click(page.getByRole("link", { name: "What it did to other keys" }));
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "made by a thief" }) });
  await row.getByText("Created", { exact: true }).waitFor();
  assert.equal(await page.getByRole("row").count(), 2, "the head, and what it did");
});

task("give the audit trail to an auditor", async (visit, { click }) => {
  const page = await visit.signIn();
  await click(page.getByRole("link", { name: "Audit trail" }));
  await click(button(page, "Export…"));
  await page.getByText(/^\d+ rows\.$/).waitFor();
  const download = page.waitForEvent("download");
  await click(button(page, "Save as CSV"));
  assert.equal((await download).suggestedFilename(), "audit trail.csv");
});
