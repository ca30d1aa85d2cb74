/** Service accounts: from their creation to their end, and the new secrets of all their keys. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { assertAccessible, test } from "../harness.mjs";

test("a service account's whole life", async (visit) => {
  const page = await visit.signIn("#/accounts");
  await page.getByRole("button", { name: "Create account…" }).click();
  await page.getByRole("button", { name: "Create account", exact: true }).click();
  await page.getByText("A name has at least 1 character.").waitFor();
  await page.getByLabel("Name", { exact: true }).fill("website");
  await page.getByRole("button", { name: "Create account", exact: true }).click();
  await page.getByRole("heading", { name: "website" }).waitFor();
  const id = page.url().split("/").at(-1);

  const made = [];
  for (const name of ['=HYPERLINK("x")', "plain"])
    made.push(await visit.api("POST", "api-keys", { name, scopes: ["files:read"], service_account_id: id }));
  await page.reload();
  await page.getByRole("link", { name: "plain" }).waitFor();
  await page.getByRole("button", { name: "Rename…" }).click();
  await page.getByLabel("Name", { exact: true }).fill("web");
  await page.getByRole("button", { name: "Save changes" }).click();
  await page.getByRole("heading", { name: "web", exact: true }).waitFor();

  await page.getByRole("button", { name: "Rotate all…" }).click();
  await page.getByText("at most 2 keys").waitFor();
  await page.getByRole("radio", { name: "None" }).check();
  await page.getByRole("button", { name: "Rotate all", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "2 new secrets" });
  await dialog.waitFor();
  await assertAccessible(visit, page, "new secrets");
  const download = page.waitForEvent("download");
  await dialog.getByRole("button", { name: "Save as a file" }).click();
  const file = readFileSync(await (await download).path(), "utf8");
  const lines = file.split("\r\n");
  assert.equal(lines[0], "Name,Key id,Secret");
  assert.ok(file.includes(`"'=HYPERLINK(""x"")",`), file);
  const secrets = lines.slice(1, 3).map((line) => line.split(",").at(-1));
  for (const secret of secrets) assert.equal(await visit.status(secret), 200);
  for (const { secret } of made) assert.equal(await visit.status(secret), 401);
  await page.keyboard.press("Escape");
  await dialog.getByRole("button", { name: "Reveal" }).click();
  await dialog.getByText(secrets[0]).waitFor();
  await dialog.getByLabel("I have stored them").check();
  const before = await page.getByRole("heading", { name: "web", exact: true }).elementHandle();
  await dialog.getByRole("button", { name: "Done" }).click();
  await dialog.waitFor({ state: "detached" });
  // The screen is drawn anew, and a click on what it replaces would be lost.
  await before.waitForElementState("hidden");
  const left = await page.evaluate(() => document.querySelector("apikey-console").shadowRoot.innerHTML);
  assert.ok(!left.includes(secrets[0]), "the secret is gone from the document");

  await page.getByRole("button", { name: "Disable…" }).click();
  await page.getByText("2 keys will be refused").waitFor();
  await page.getByRole("button", { name: "Disable account" }).click();
  await page.getByText("All its keys are refused").waitFor();
  assert.equal(await visit.status(secrets[0]), 401);
  await page.getByRole("button", { name: "Enable", exact: true }).click();
  await page.getByRole("button", { name: "Disable…" }).waitFor();
  assert.equal(await visit.status(secrets[0]), 200);

  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("button", { name: "Delete account" }).click();
  await page.getByText("This is not the account's name.").waitFor();
  await page.getByLabel("Type the account's name").fill("web");
  await page.getByRole("button", { name: "Delete account" }).click();
  await page.getByRole("heading", { name: "Service accounts", exact: true }).waitFor();
  assert.equal(await visit.status(secrets[0]), 401);
});
