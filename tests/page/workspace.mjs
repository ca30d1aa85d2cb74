/**
 * The page of `examples/workspace-api`, as its customers walk through it: `node workspace.mjs <browser> <address> <the owner's
 * first password> all`.
 */

import assert from "node:assert/strict";
import { assertAccessible, main, test } from "./harness.mjs";
import { takeSecret } from "./steps.mjs";

const OWNER = "ada@example.com";
const CHOSEN = "a password of her own";

async function signIn(page, email, password, another) {
  await page.getByLabel("E-mail address").first().fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  if (another) await page.getByLabel("Another password").fill(another);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Calls the service as a program does, and returns the status. */
async function status(visit, key, method = "GET", body = undefined) {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const path = method === "GET" ? "/v1/records" : "/v1/records/order-7";
  const answer = await fetch(`${visit.service.origin}${path}`, { method, headers, body });
  await answer.text();
  return answer.status;
}

test("an owner signs in, makes a key, uses it, loses it, finds out what it did, and ends it", async (visit) => {
  const page = await visit.open();
  await signIn(page, OWNER, "guessed");
  await page.getByText("The address or the password is wrong.").waitFor();
  await assertAccessible(visit, page, "the sign-in");
  await signIn(page, OWNER, visit.service.key, CHOSEN);
  await page.getByRole("link", { name: "bootstrap" }).waitFor();
  assert.equal(await page.getByText("Scopes").filter({ visible: true }).count(), 0, "all keys are equal");
  await page.getByRole("link", { name: "Create key" }).click();
  await page.getByLabel("Name").fill("orders of the shop");
  await page.getByLabel("Environment").selectOption("staging");
  assert.equal(await page.getByRole("checkbox").count(), 0, "there is nothing to grant");
  await page.getByRole("button", { name: "Create key" }).click();
  const secret = await takeSecret(page);
  assert.ok(secret.startsWith("ws_staging_"), "the label is part of the key");
  await page.getByRole("heading", { name: "orders of the shop" }).waitFor();

  assert.equal(await status(visit, secret, "PUT", '{"title":"Order 7","content":"two chairs"}'), 201);

  // It is lost: the key gets a new secret, and the old one ends at once.
  await page.getByRole("button", { name: "Rotate…" }).click();
  // The form comes after the limits have been read.
  await page.getByRole("button", { name: "Rotate key" }).waitFor();
  assert.equal(await page.getByRole("radio").count(), 1, "no overlap is offered");
  await page.getByRole("button", { name: "Rotate key" }).click();
  const newer = await takeSecret(page);
  assert.deepEqual([await status(visit, secret), await status(visit, newer)], [401, 200]);

  // What it did is there once it is written, a moment later.
  await page.waitForFunction(async () => {
    const id = location.hash.split("/").at(-1);
    const answer = await fetch(`/keys/v1/api-keys/${id}/activity`);
    return (await answer.json()).items.some(({ method }) => method === "PUT");
  });
  await page.reload();
  await page.getByText("PUT /v1/records/{id}").waitFor();
  await assertAccessible(visit, page, "a key");

  await page.getByRole("button", { name: "Revoke…" }).click();
  await page.getByLabel("Reason").fill("it was lost");
  await page.getByLabel("Type the key's name").fill("orders of the shop");
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("Revoked on").waitFor();
  assert.equal(await status(visit, newer), 401);

  // A member sees that there is no key for them, and whom to ask.
  const people = page.getByRole("region", { name: "People" });
  await people.getByLabel("E-mail address").fill("max@example.com");
  await people.getByRole("combobox", { name: "Role", exact: true }).selectOption("member");
  await people.getByRole("button", { name: "Add person" }).click();
  const said = page.getByText("The password of max@example.com, shown only now:");
  const password = (await said.textContent()).split(": ")[1];
  await people.getByRole("combobox", { name: "Role of max@example.com" }).waitFor();
  await assertAccessible(visit, page, "the people");
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, "max@example.com", password);
  await page.getByText(`You have no API keys. Ask for one: ${OWNER} (owner).`).waitFor();
  assert.equal(await page.locator("apikey-console").count(), 0);
  assert.equal(await page.getByRole("button", { name: "Add person" }).count(), 0);
  await assertAccessible(visit, page, "a member's page");
  await page.goto(`${visit.service.origin}/keys/`);
  await page.getByRole("heading", { name: "You can't see API keys" }).waitFor();
});

test("the last owner stays, a role changes at once, and whoever left is out", async (visit) => {
  const page = await visit.open();
  page.on("dialog", (dialog) => dialog.accept());
  await signIn(page, OWNER, CHOSEN);
  // The page says what was done before it draws the rows anew, and a click on what it replaces would be lost.
  const row = () => page.getByRole("combobox", { name: "Role of max@example.com" }).elementHandle();
  const first = await row();
  await page.getByRole("combobox", { name: `Role of ${OWNER}` }).selectOption("member");
  await page.getByText("A workspace keeps its last owner.").waitFor();
  await first.waitForElementState("hidden");
  const second = await row();
  await page.getByRole("combobox", { name: "Role of max@example.com" }).selectOption("admin");
  await page.getByText("max@example.com is admin now.").waitFor();
  await second.waitForElementState("hidden");
  await page.getByRole("button", { name: "Remove: max@example.com" }).click();
  await page.getByText("max@example.com was removed.").waitFor();
  // The page says so before it has read who is there.
  await page.getByText("max@example.com", { exact: true }).waitFor({ state: "detached" });
  await page.getByText(`${OWNER} (you)`).waitFor();
});

test("without a session, the console's own page leads to the sign-in", async (visit) => {
  const page = await visit.open("keys/");
  assert.equal(await page.locator("input").count(), 0);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByLabel("Password", { exact: true }).waitFor();
});

await main();
