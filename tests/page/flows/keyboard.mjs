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

test("a dialog that is closed gives the focus back", async (visit) => {
  const { key } = await visit.issue("focused");
  const page = await visit.signIn(`#/keys/${key.id}`);
  await page.getByRole("button", { name: "Rotate…" }).click();
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.ok(await page.getByRole("button", { name: "Rotate…" }).evaluate((one) => one.matches(":focus")));
});
