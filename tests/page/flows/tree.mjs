/**
 * What a screen reader is told while keys are created and revoked, as committed in `snapshots`. `UPDATE=1` writes it anew, to
 * be read before it is committed.
 */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "../harness.mjs";
import { takeSecret } from "../steps.mjs";

/** Compares the tree of `place` with its snapshot; what differs from run to run is named instead. */
async function assertTree(place, name, service) {
  const tree = (await place.ariaSnapshot())
    .replaceAll(service.page, "https://service.example/keys/")
    .replaceAll(/\d+ keys? in use/g, "N keys in use")
    .replaceAll(/\d+ \w{3} \d{4}, \d\d:\d\d/g, "a moment");
  const file = new URL(`../snapshots/${name}.txt`, import.meta.url);
  if (process.env.UPDATE) writeFileSync(file, `${tree}\n`);
  assert.equal(`${tree}\n`, readFileSync(file, "utf8"), name);
}

test("a screen reader is told all of creating and revoking a key", async (visit) => {
  const nobody = { items: [], next_cursor: null };
  await visit.context.route("**/v1/service-accounts?*", (route) => route.fulfill({ json: nobody }));
  const page = await visit.signIn("#/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("heard");
  await assertTree(page.getByRole("main"), "create", visit.service);
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByRole("dialog").waitFor();
  await assertTree(page.getByRole("dialog"), "secret", visit.service);
  await takeSecret(page);
  await page.getByRole("button", { name: "Revoke…" }).click();
  await page.getByRole("dialog").getByText("0", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("This is not the key's name.").waitFor();
  await assertTree(page.getByRole("dialog"), "revoke", visit.service);
});

test(
  "a screen reader is told what the end of several keys hits, and what is wrong in the form",
  async (visit) => {
    for (const name of ["told one", "told two"]) await visit.issue(name);
    const page = await visit.signIn("#/keys?q=told");
    await page.getByLabel("Select all on this page").check();
    await page.getByRole("button", { name: "Revoke…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("told one").waitFor();
    await dialog.getByText("told two").waitFor();
    await dialog.getByRole("button", { name: "Revoke 2 keys" }).click();
    await dialog.getByText("Say why").waitFor();
    await assertTree(dialog, "several", visit.service);
  },
  { once: true },
);
