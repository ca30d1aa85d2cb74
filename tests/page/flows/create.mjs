/** The form of a new key. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";
import { takeSecret } from "../steps.mjs";

const DAY_MS = 86_400_000;

/** Tells the page of a plan that the service doesn't have. */
function plan(visit, changed) {
  return visit.context.route("**/v1/limits", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), ...changed } });
  });
}

test("the API's errors stand at their fields, and what was typed stays", async (visit) => {
  visit.expected.push(/net::ERR_FAILED/, /status of 500/);
  const page = await visit.signIn("#/keys/new?scope=files:read&expires=30d");
  assert.ok(await page.getByRole("checkbox", { name: "files:read" }).isChecked());
  const name = page.getByLabel("Name", { exact: true });
  const create = page.getByRole("button", { name: "Create key" });
  await create.click();
  await page.getByText("A name has at least 1 character.").waitFor();
  assert.equal(await name.getAttribute("aria-invalid"), "true");
  await name.fill("typed");
  for (const [fail, text] of [
    [(route) => route.abort(), "The service can't be reached."],
    [(route) => route.fulfill({ status: 500, body: "oops" }), "The service answered 500."],
    [(route) => route.fulfill({ status: 503, headers: { "Retry-After": "2" } }), "Try again in 2 seconds."],
  ]) {
    await page.route("**/v1/api-keys", fail);
    await create.click();
    await page.getByText(text).waitFor();
    assert.equal(await name.inputValue(), "typed");
    await page.unroute("**/v1/api-keys");
  }
  await create.click();
  await takeSecret(page);
});

test(
  "every choice of the form is made",
  async (visit) => {
    const account = await visit.api("POST", "service-accounts", { name: "owner of one" });
    const page = await visit.signIn("#/keys/new?name=chosen&scope=files:write");
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "chosen");
    assert.ok(await page.getByRole("checkbox", { name: "files:write" }).isChecked());
    await page.getByLabel("Description (optional)").fill("what for");
    await page.getByLabel("Owner").selectOption({ label: "owner of one" });
    await page.getByLabel("Expires", { exact: true }).selectOption("date");
    const at = new Date(Math.ceil(Date.now() / DAY_MS) * DAY_MS + 3 * DAY_MS);
    await page.getByLabel("Expires on").fill(at.toISOString().slice(0, 16));
    await page.getByRole("button", { name: "Read only" }).click();
    await page.getByText("1 chosen.").waitFor();
    await page.getByRole("button", { name: "Create key" }).click();
    await takeSecret(page);
    await page.getByRole("heading", { name: "chosen" }).waitFor();
    const { items } = await visit.api("GET", "api-keys?q=chosen");
    const { description, service_account_id, expires_at, scopes } = items[0];
    assert.deepEqual(
      { description, service_account_id, expires_at: Date.parse(expires_at), scopes },
      { description: "what for", service_account_id: account.id, expires_at: at.getTime(), scopes: ["files:read"] },
    );
  },
  { once: true, timezoneId: "UTC" },
);

test("nothing is chosen at first, and presets choose", async (visit) => {
  const page = await visit.signIn("#/keys/new");
  const boxes = page.getByRole("checkbox");
  const chosen = async () => {
    const all = await boxes.evaluateAll((every) => every.filter((box) => box.checked).map((box) => box.value));
    return all.sort();
  };
  await page.getByText("None chosen.").waitFor();
  assert.deepEqual(await chosen(), []);
  await page.getByRole("button", { name: "Everything" }).click();
  assert.equal((await chosen()).length, await boxes.count());
  await page.getByRole("button", { name: "Read only" }).click();
  assert.deepEqual(await chosen(), ["files:read"]);
  await page.getByRole("button", { name: "None" }).click();
  assert.deepEqual(await chosen(), []);
  await page.getByText("List files.").waitFor();
});

test(
  "the plan is there before the form is filled in",
  async (visit) => {
    await plan(visit, {
      keys: { used: 7, allowed: 10 },
      expiry_required: true,
      longest_lifetime_seconds: 30 * 86_400,
    });
    const page = await visit.signIn("#/keys/new");
    await page.getByText("7 of 10 keys in use").waitFor();
    const choices = await page.getByLabel("Expires", { exact: true }).locator("option").allTextContents();
    assert.deepEqual(choices, ["7 days", "30 days", "On a date…"]);
    await page.getByText("It can't be later than").waitFor();
  },
  { once: true },
);

test("a plan without room says so before the form is filled in", async (visit) => {
  await plan(visit, { keys: { used: 10, allowed: 10 } });
  const page = await visit.signIn("#/keys/new");
  await page.getByText("10 of 10 keys in use").waitFor();
  await page.getByText("10 of 10 keys; your plan allows 10.").waitFor();
});
