/** Sessions: signing in and out, and keys that end or may do little. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";
import { wholeDocument } from "../steps.mjs";

test("whoever is signed in with a key that is revoked elsewhere signs in again, and comes back", async (visit) => {
  const mine = await visit.issue("mine", ["*"]);
  const page = await visit.signIn(`#/keys/new?name=kept`, mine.secret);
  await page.getByLabel("Description").fill("typed before");
  await visit.api("POST", `api-keys/${mine.key.id}/revoke`, { reason: "elsewhere" });
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("Your session has ended").waitFor();
  assert.ok(!(await wholeDocument(page)).includes("typed before"));
  await page.getByLabel("API key", { exact: true }).fill(mine.secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This key isn't accepted.").waitFor();
  await page.getByLabel("API key", { exact: true }).fill(visit.service.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Create a key" }).waitFor();
  assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "kept");
});

test("whoever signs in again with the same key finds what was typed", async (visit) => {
  const page = await visit.signIn("#/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("half done");
  await page.getByRole("checkbox", { name: "files:write" }).check();
  await visit.context.clearCookies();
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("Your session has ended").waitFor();
  await page.getByLabel("API key", { exact: true }).fill(visit.service.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Create a key" }).waitFor();
  assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "half done");
  assert.ok(await page.getByRole("checkbox", { name: "files:write" }).isChecked());
});

test("a key that revokes itself in one tab is signed out in both", async (visit) => {
  const { key, secret } = await visit.issue("ends itself", ["*"]);
  const page = await visit.signIn(`#/keys/${key.id}`, secret);
  const other = await visit.open("#/keys");
  await other.getByRole("link", { name: "ends itself" }).first().waitFor();
  await page.getByRole("button", { name: "Revoke…" }).click();
  await page.getByText("Revoking it signs you out.").waitFor();
  await page.getByLabel("Reason").fill("a test");
  await page.getByLabel("Type the key's name").fill("ends itself");
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("Your session has ended").waitFor();
  await other.getByRole("link", { name: "Create key" }).click();
  await other.getByText("Your session has ended").waitFor();
  await other.getByLabel("API key", { exact: true }).fill(visit.service.key);
  await other.getByRole("button", { name: "Sign in" }).click();
  await other.getByRole("heading", { name: "Create a key" }).waitFor();
});

test("the sign-in tells nobody whether a key was revoked or never existed", async (visit) => {
  const { key, secret } = await visit.issue("gone");
  await visit.api("POST", `api-keys/${key.id}/revoke`, { reason: "a test" });
  const page = await visit.open();
  const said = async (text) => {
    await page.getByLabel("API key", { exact: true }).fill(text);
    const answered = page.waitForResponse("**/v1/session");
    await page.getByRole("button", { name: "Sign in" }).click();
    const answer = await answered;
    await page.getByRole("alert").filter({ hasText: "isn't accepted" }).waitFor();
    return [answer.status(), await answer.text(), await page.getByRole("alert").textContent()];
  };
  const other = await visit.issue("deleted");
  await visit.api("POST", `api-keys/${other.key.id}/revoke`, { reason: "a test" });
  await visit.api("DELETE", `api-keys/${other.key.id}`);
  const revoked = await said(secret);
  assert.equal(revoked[0], 401);
  for (const unknown of [other.secret, "demo_live_x"]) assert.deepEqual(await said(unknown), revoked);
});

test("signing out ends the session in every tab", async (visit) => {
  const page = await visit.signIn();
  const other = await visit.open();
  await other.getByRole("link", { name: "Create key" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.deepEqual(await visit.context.cookies(), []);
  await other.getByRole("link", { name: "Create key" }).click();
  await other.getByRole("button", { name: "Sign in" }).waitFor();
});

test("whoever may not do a thing is told so", async (visit) => {
  const reader = await visit.issue("looks on", ["keys:read"]);
  const page = await visit.signIn("", reader.secret);
  await page.getByText("Your key can look, but not make changes.").waitFor();
  await page.getByRole("link", { name: "looks on" }).click();
  await page.getByRole("heading", { name: "looks on" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Revoke…" }).count(), 0);
  await page.getByRole("button", { name: "Sign out" }).click();
  const writer = await visit.issue("passes on", ["keys:write", "files:read"]);
  await page.goto(`${visit.service.page}#/keys/new`);
  await page.getByLabel("API key", { exact: true }).fill(writer.secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("checkbox", { name: "files:write" }).waitFor();
  assert.ok(await page.getByRole("checkbox", { name: "files:write" }).isDisabled());
  await page.getByText("Your key lacks this scope.").first().waitFor();
  await page.getByText("Only keys with keys:admin may grant this.").first().waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  const stranger = await visit.issue("sees nothing", ["files:read"]);
  await page.getByLabel("API key", { exact: true }).fill(stranger.secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "This key can't see API keys" }).waitFor();
});
