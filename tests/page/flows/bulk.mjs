/** Several keys at once: a selection, and everything that somebody made. */

import assert from "node:assert/strict";
import { assertAccessible, test } from "../harness.mjs";

test("selected keys are revoked after a preview, and others are not", async (visit) => {
  const [one, two, other] = [
    await visit.issue("bulk one"),
    await visit.issue("bulk two"),
    await visit.issue("bulk stays"),
  ];
  const page = await visit.signIn("#/keys?q=bulk");
  await page.getByLabel("Select bulk one").check();
  await page.getByLabel("Select bulk two").check();
  await page.getByText("2 selected").waitFor();
  await page.getByRole("button", { name: "Revoke…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("2 keys will be revoked:").waitFor();
  await dialog.getByText("bulk one").waitFor();
  await assertAccessible(visit, page, "a preview");
  assert.deepEqual(
    [await visit.status(one.secret), await visit.status(two.secret)],
    [200, 200],
    "a preview ends nothing",
  );
  await dialog.getByRole("button", { name: "Revoke 2 keys" }).click();
  await dialog.getByText("Say why").waitFor();
  await dialog.getByLabel("Reason").fill("cleaning up");
  await dialog.getByLabel("Type the number").fill("3");
  await dialog.getByRole("button", { name: "Revoke 2 keys" }).click();
  await dialog.getByText("Type 2 to confirm.").waitFor();
  await dialog.getByLabel("Type the number").fill("2");
  await dialog.getByRole("button", { name: "Revoke 2 keys" }).click();
  await dialog.getByText("2 keys were revoked.").waitFor();
  await assertAccessible(visit, page, "a summary");
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.getByText("Revoked", { exact: true }).nth(1).waitFor();
  assert.deepEqual([await visit.status(one.secret), await visit.status(two.secret)], [401, 401]);
  assert.equal(await visit.status(other.secret), 200);
});

test(
  "a step that fails can be tried again, and what was done stays done",
  async (visit) => {
    visit.expected.push(/net::ERR_FAILED/);
    await visit.issue("step one");
    await visit.issue("step two");
    const page = await visit.signIn("#/keys?q=step");
    await page.getByLabel("Select all on this page").check();
    await page.getByRole("button", { name: "Revoke…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("2 keys will be revoked:").waitFor();
    await dialog.getByLabel("Reason").fill("cleaning up");
    await dialog.getByLabel("Type the number").fill("2");
    let steps = 0;
    await page.route("**/bulk-revoke", (route) => {
      steps += 1;
      return steps === 2 ? route.abort() : route.continue();
    });
    await dialog.getByRole("button", { name: "Revoke 2 keys" }).click();
    await dialog.getByText("1 of 2 were revoked, and stay so.").waitFor();
    await dialog.getByRole("button", { name: "Try again" }).click();
    await dialog.getByText("2 keys were revoked.").waitFor();
  },
  { once: true },
);

test(
  "selected keys are disabled and enabled after a preview, and those that can't be stay as they are",
  async (visit) => {
    visit.expected.push(/net::ERR_FAILED/);
    const [one, two] = [await visit.issue("turn one"), await visit.issue("turn two")];
    const { key: over } = await visit.issue("turn over");
    await visit.api("POST", `api-keys/${over.id}/revoke`, { reason: "a test" });
    const statuses = () => Promise.all([visit.status(one.secret), visit.status(two.secret)]);
    const page = await visit.signIn("#/keys?q=turn");
    await page.getByLabel("Select all on this page").check();
    await page.getByRole("button", { name: "Disable…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("2 keys will be refused until enabled again:").waitFor();
    await dialog.getByText("1 key can't be disabled, or already is.").waitFor();
    await assertAccessible(visit, page, "disabling several keys");
    assert.deepEqual(await statuses(), [200, 200]);
    let steps = 0;
    await page.route("**/disable", (route) => {
      steps += 1;
      return steps === 2 ? route.abort() : route.continue();
    });
    await dialog.getByRole("button", { name: "Disable 2 keys" }).click();
    await dialog.getByText("1 of 2 were disabled, and stay so.").waitFor();
    await dialog.getByRole("button", { name: "Try again" }).click();
    await dialog.getByText("2 keys were disabled.").waitFor();
    assert.deepEqual(await statuses(), [401, 401]);
    await dialog.getByRole("button", { name: "Close" }).click();
    await page.getByText("Disabled", { exact: true }).nth(2).waitFor();
    await page.getByLabel("Select all on this page").check();
    await page.getByRole("button", { name: "Enable…" }).click();
    await dialog.getByRole("button", { name: "Enable 2 keys" }).click();
    await dialog.getByText("2 keys were enabled.").waitFor();
    assert.deepEqual(await statuses(), [200, 200]);
  },
  { once: true },
);

test("whatever somebody made ends with them", async (visit) => {
  const leaver = await visit.issue("the leaver", ["*"]);
  const [theirs, kept] = [
    await visit.api("POST", "api-keys", { name: "left behind", scopes: ["files:read"] }, leaver.secret),
    await visit.issue("kept"),
  ];
  const account = await visit.api("POST", "service-accounts", { name: "nightly" }, leaver.secret);
  const machines = { name: "of a machine", service_account_id: account.id, scopes: ["files:read"] };
  const machine = await visit.api("POST", "api-keys", machines, leaver.secret);
  const stolen = await visit.api("POST", `api-keys/${kept.key.id}/rotate`, { overlap_seconds: null }, leaver.secret);
  const page = await visit.signIn();
  await page.getByRole("button", { name: "Somebody left…" }).click();
  await page.getByLabel("Who left?").selectOption({ label: "the leaver (key)" });
  await assertAccessible(visit, page, "somebody left");
  await page.getByRole("button", { name: "Show what they made" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("2 keys will be revoked:").waitFor();
  await dialog.getByLabel("Keep the keys of service accounts").check();
  await dialog.getByText("1 key will be revoked:").waitFor();
  await dialog.getByText("left behind").waitFor();
  await dialog.getByText("1 stay, and lose a secret").waitFor();
  await dialog.getByLabel("Reason").fill("left");
  await dialog.getByLabel("Type the number").fill("1");
  await dialog.getByRole("button", { name: "Revoke 1 key" }).click();
  await dialog.getByText("1 key was revoked.").waitFor();
  await dialog.getByText("1 lost a secret").waitFor();
  assert.deepEqual([await visit.status(theirs.secret), await visit.status(stolen.secret)], [401, 401]);
  assert.equal(await visit.status(kept.secret), 200, "the old secret was not theirs");
  assert.equal(await visit.status(machine.secret), 200, "a machine stays");
});
