/** The keyboard alone. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

test("a key is created and revoked with the keyboard alone", async (visit) => {
  const page = await visit.signIn();
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const isOn = (name) =>
    page.evaluate((wanted) => document.activeElement?.shadowRoot?.activeElement?.textContent === wanted, name);
  const tabTo = async (name) => {
    for (let steps = 0; !(await isOn(name)); steps += 1) {
      assert.ok(steps < 60, `Tab never reaches ${name}`);
      await press("Tab");
    }
  };
  await tabTo("Create key");
  await press("Enter");
  await page.getByRole("heading", { name: "Create a key" }).waitFor();
  await page.keyboard.type("by keyboard");
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await press("Tab", "Tab", "Tab", "Tab");
  const box = page.getByLabel("I have stored it");
  for (let steps = 0; !(await box.evaluate((one) => one.matches(":focus"))); steps += 1) {
    assert.ok(steps < 20, "Tab never reaches the box");
    await press("Tab");
  }
  await press("Space", "Tab", "Enter");
  await page.getByRole("heading", { name: "by keyboard" }).waitFor();
  await tabTo("Revoke…");
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type("a test");
  await press("Tab");
  await page.keyboard.type("by keyboard");
  await press("Enter");
  await page.getByText("Revoked on").waitFor();
});

/** The choices of an overlap before the usual one. */
const OVERLAPS_BEFORE = ["None", "15 minutes", "1 hour"];

/** Presses Tab until this has the focus. */
async function tabTo(page, place) {
  for (let steps = 0; !(await place.evaluate((one) => one.matches(":focus"))); steps += 1) {
    assert.ok(steps < 80, `Tab never reaches ${place}`);
    await page.keyboard.press("Tab");
  }
}

test(
  "an account lives and ends with the keyboard alone",
  async (visit) => {
    const page = await visit.signIn("#/accounts");
    const press = async (name, ...typed) => {
      await tabTo(page, page.getByRole("button", { name, exact: true }));
      await page.keyboard.press("Enter");
      if (typed.length > 0) await page.getByRole("dialog").waitFor();
      for (const text of typed) await page.keyboard.type(text);
    };
    await press("Create account…", "typed");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "typed" }).waitFor();
    const id = page.url().split("/").at(-1);
    const { secret } = await visit.api("POST", "api-keys", { name: "its key", service_account_id: id });
    await page.reload();
    await press("Rename…", " anew");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: / ?anew/ }).waitFor();
    const name = await page.getByRole("heading", { level: 1 }).textContent();
    await press("Disable…");
    await press("Disable account");
    await page.getByText("All its keys are refused").waitFor();
    await press("Enable");
    // The screen is drawn anew, and keys that are pressed on what it replaces would be lost.
    await page.getByRole("button", { name: "Disable…" }).waitFor();
    await press("Rotate all…");
    await tabTo(page, page.getByRole("radio", { name: "24 hours" }));
    for (const _ of OVERLAPS_BEFORE) await page.keyboard.press("ArrowUp");
    await press("Rotate all");
    const stored = page.getByLabel("I have stored them");
    await stored.waitFor();
    await tabTo(page, stored);
    await page.keyboard.press("Space");
    await press("Done");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.equal(await visit.status(secret), 401);
    await press("Delete…", name);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Service accounts", exact: true }).waitFor();
  },
  { once: true },
);

test(
  "several keys end, and a list is exported, with the keyboard alone",
  async (visit) => {
    const leaver = await visit.issue("left the keyboard", ["*"]);
    const made = await visit.api("POST", "api-keys", { name: "typed away" }, leaver.secret);
    const page = await visit.signIn("#/keys?q=left%20the%20keyboard");
    const enter = async (name) => {
      const button = page.getByRole("button", { name, exact: true });
      await button.waitFor();
      await tabTo(page, button);
      await page.keyboard.press("Enter");
    };
    // Closes the dialog, after which the list is drawn anew: the focus on what it replaces would be lost.
    const leave = async () => {
      const before = await page.getByRole("rowheader").first().elementHandle();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await before.waitForElementState("hidden");
    };
    await enter("Export…");
    await page.getByText("1 rows.").waitFor();
    await enter("Close");
    await page.getByLabel("Select left the keyboard").waitFor();
    await tabTo(page, page.getByLabel("Select left the keyboard"));
    await page.keyboard.press("Space");
    await enter("Disable…");
    await enter("Disable 1 key");
    await page.getByText("1 key was disabled.").waitFor();
    // The summary has the focus on its way out.
    await leave();
    await enter("Somebody left…");
    await tabTo(page, page.getByLabel("Who left?"));
    await page.getByRole("option", { name: "left the keyboard (key)" }).waitFor({ state: "attached" });
    await page.keyboard.type("left the keyboard");
    await enter("Show what they made");
    await page.getByText("1 key will be revoked:").waitFor();
    await tabTo(page, page.getByLabel("Reason"));
    await page.keyboard.type("left");
    await page.keyboard.press("Tab");
    await page.keyboard.type("1");
    await page.keyboard.press("Enter");
    await page.getByText("1 key was revoked.").waitFor();
    assert.equal(await visit.status(made.secret), 401);
    await leave();
    await tabTo(page, page.getByRole("link", { name: "Audit trail" }));
    await page.keyboard.press("Enter");
    await page.getByLabel("Action").waitFor();
    await tabTo(page, page.getByLabel("Action"));
    await page.keyboard.type("Revoked");
    await page.waitForURL(/action=key\.revoked/);
    const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "typed away" }) });
    await row.getByText("Reason: left").waitFor();
    await tabTo(page, page.getByRole("link", { name: "Usage", exact: true }));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Usage", exact: true }).waitFor();
    await enter("7 days");
    await enter("Export…");
    await page.getByText(/^\d+ rows\.$/).waitFor();
    await enter("Close");
  },
  { once: true },
);

test("a dialog that is closed gives the focus back", async (visit) => {
  const { key } = await visit.issue("focused");
  const page = await visit.signIn(`#/keys/${key.id}`);
  await page.getByRole("button", { name: "Rotate…" }).click();
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.ok(await page.getByRole("button", { name: "Rotate…" }).evaluate((one) => one.matches(":focus")));
});
