/** Rotation with every overlap: what the page says of the old secret is what becomes of it. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";
import { takeSecret } from "../steps.mjs";

const MINUTE_MS = 60_000;
const timeZone = "Asia/Kolkata";
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone });

/** Rotates a new key with this overlap: the page, the old secret, the key, and what was said of the old secret. */
async function rotated(visit, overlap) {
  const { key, secret } = await visit.issue(`rotated: ${overlap}`);
  const page = await visit.signIn(`#/keys/${key.id}`);
  await page.getByRole("button", { name: "Rotate…" }).click();
  const choice = page.getByRole("dialog").locator("label.choice", { hasText: overlap });
  const said = await choice.locator(".about").textContent();
  await choice.getByRole("radio").check();
  await page.getByRole("button", { name: "Rotate key" }).click();
  const fresh = await takeSecret(page);
  assert.equal(await visit.status(fresh), 200);
  return { page, secret, said, key: await visit.api("GET", `api-keys/${key.id}`) };
}

for (const [overlap, minutes] of [
  ["15 minutes", 15],
  ["1 hour", 60],
  ["24 hours", 24 * 60],
  ["7 days", 7 * 24 * 60],
]) {
  test(
    `an overlap of ${overlap} ends at the moment that is said`,
    async (visit) => {
      const { page, secret, said, key } = await rotated(visit, overlap);
      const ends = Date.parse(key.secrets[1].ends_at);
      assert.equal(ends - Date.parse(key.secrets[1].superseded_at), minutes * MINUTE_MS);
      // The dialog was open for a while before the key was rotated.
      const moments = [0, 1, 2].map((late) => exact.format(ends - late * MINUTE_MS));
      assert.ok(
        moments.some((moment) => said === `The old secret stops working on ${moment}.`),
        `${said} and not ${moments}`,
      );
      await page.getByText(`stops working on ${exact.format(ends)}`).waitFor();
      assert.equal(await visit.status(secret), 200);
    },
    { timezoneId: timeZone },
  );
}

test("without an overlap the old secret stops working at once", async (visit) => {
  const { page, secret, said, key } = await rotated(visit, "None");
  assert.match(said, /^The old secret stops working at once\./);
  assert.equal(key.secrets.length, 1);
  assert.equal(await visit.status(secret), 401);
  assert.equal(await page.getByText("Old secret", { exact: true }).count(), 0);
});

test("an overlap without an end is ended by the reader, who sees when the old secret was last used", async (visit) => {
  const { page, secret, said, key } = await rotated(visit, "Until I end it");
  assert.equal(said, "The old secret works until you end it on the key's page.");
  assert.equal(key.secrets[1].ends_at, null);
  const old = page.locator(".secrets li").filter({ hasText: "Old secret" });
  await old.getByText("works until you end it").waitFor();
  assert.equal(await visit.status(secret), 200);
  // Uses are written every few seconds.
  for (let attempt = 0; !(await old.getByText(/Last used (just now|1 minute ago)/).isVisible()); attempt += 1) {
    assert.ok(attempt < 40, "the use of the old secret is never shown");
    await page.waitForTimeout(500);
    await page.reload();
    await old.waitFor();
  }
  await old.getByRole("button", { name: "End it now" }).click();
  await old.waitFor({ state: "detached" });
  assert.equal(await visit.status(secret), 401);
});
