/** The list: filters, search and addresses. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

test("filters stand in the address, and a pasted secret does not", async (visit) => {
  const { key, secret } = await visit.issue("needle", ["files:write"]);
  const page = await visit.signIn();
  const search = page.getByRole("searchbox");
  await search.fill("needle");
  await page.getByRole("rowheader", { name: "bootstrap" }).waitFor({ state: "detached" });
  assert.ok(page.url().includes("q=needle"), page.url());
  await page.reload();
  assert.equal(await search.inputValue(), "needle");
  await page.getByLabel("Status").selectOption("revoked");
  await page.getByText("No key matches").waitFor();
  await page.goBack();
  await page.getByRole("link", { name: "needle" }).waitFor();
  await search.fill(key.hint);
  await page.getByRole("link", { name: "needle" }).waitFor();
  await search.fill(secret);
  await page.waitForURL((url) => url.hash.includes(secret.slice(-4)));
  await page.getByRole("link", { name: "needle" }).waitFor();
  assert.ok(!page.url().includes(secret), "the secret is in no address");
});

test("keys are found by environment, service account and creator", async (visit) => {
  const account = await visit.api("POST", "service-accounts", { name: "sorter" });
  await visit.api("POST", "api-keys", { name: "sifted: account", service_account_id: account.id });
  const maker = await visit.issue("sifted: maker", ["keys:write"]);
  await visit.api("POST", "api-keys", { name: "sifted: made" }, maker.secret);
  // The service has one environment; the page is told of another, which no key is of.
  await visit.context.route("**/v1/scopes", async (route) => {
    const answer = await route.fetch();
    const json = await answer.json();
    await route.fulfill({ response: answer, json: { ...json, environments: ["live", "staging"] } });
  });
  const page = await visit.signIn("#/keys?q=sifted");
  const shows = async (...names) => {
    for (const name of ["account", "maker", "made"]) {
      const state = names.includes(name) ? "visible" : "detached";
      // An owner may be one of these keys, too.
      const rows = page.getByRole("rowheader");
      await rows.getByRole("link", { name: `sifted: ${name}`, exact: true }).waitFor({ state });
    }
  };
  const choose = (label, option) => page.getByLabel(label, { exact: true }).selectOption(option);
  await shows("account", "maker", "made");
  await choose("Service account", { label: "sorter" });
  await shows("account");
  assert.ok(page.url().includes(`service_account=${account.id}`), page.url());
  await page.reload();
  await shows("account");
  await choose("Service account", "");
  await choose("Created by", { label: "Created by me" });
  await shows("account", "maker");
  await page.goto(`${visit.service.page}#/keys?q=sifted&created_by=key:${maker.key.id}`);
  await shows("made");
  await choose("Created by", "");
  await choose("Environment", "live");
  await shows("account", "maker", "made");
  await choose("Environment", "staging");
  await page.getByText("No key matches").waitFor();
  assert.ok(page.url().includes("environment=staging"), page.url());
});

test("revoked and expired keys stay findable", async (visit) => {
  const { key } = await visit.issue("over: revoked");
  await visit.api("POST", `api-keys/${key.id}/revoke`, { reason: "a test" });
  const expires_at = new Date(Date.now() + 5_000).toISOString();
  const { key: short } = await visit.api("POST", "api-keys", { name: "over: expired", expires_at });
  const page = await visit.signIn("#/keys?q=over");
  for (let attempt = 0; (await visit.api("GET", `api-keys/${short.id}`)).status !== "expired"; attempt += 1) {
    assert.ok(attempt < 120, "it never expires");
    await page.waitForTimeout(250);
  }
  for (const [status, other] of [
    ["revoked", "expired"],
    ["expired", "revoked"],
  ]) {
    await page.getByLabel("Status").selectOption(status);
    await page.getByRole("link", { name: `over: ${other}` }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: `over: ${status}` }).waitFor();
  }
});

test("an organization without keys has one button and the curl line", async (visit) => {
  await visit.context.route("**/v1/api-keys?*", (route) => route.fulfill({ json: { items: [], next_cursor: null } }));
  const page = await visit.signIn();
  await page.getByRole("heading", { name: "No keys yet" }).waitFor();
  const empty = page.locator(".empty");
  assert.equal(await empty.getByRole("link").count(), 1);
  await empty.getByText(`curl -H "Authorization: Bearer $API_KEY" ${visit.service.page}v1/api-keys`).waitFor();
  await empty.getByRole("link", { name: "Create a key" }).click();
  await page.getByRole("heading", { name: "Create a key" }).waitFor();
});

test("a search that was typed leaves the next screen's address alone", async (visit) => {
  const page = await visit.signIn();
  await page.getByRole("searchbox").fill("late");
  await page.getByRole("link", { name: "Create key" }).click();
  await page.getByRole("heading", { name: "Create a key" }).waitFor();
  // Longer than the list waits for the next letter.
  await page.waitForTimeout(400);
  assert.ok(page.url().endsWith("#/keys/new"), page.url());
});
