/** Services of several processes: where a change holds. The service that is tested is one process, so answers say otherwise. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

/** Answers to these paths say that the change holds on so many processes. */
function shared(page, pattern, nodes, ...silent) {
  return page.route(pattern, async (route) => {
    if (route.request().method() === "GET") return route.continue();
    // Only a browser says where a request comes from.
    const headers = { ...route.request().headers(), "sec-fetch-site": "same-origin" };
    const response = await route.fetch({ headers });
    assert.ok(response.ok(), `${response.status()}`);
    const out = (silent.shift() ?? []).map((node) => `"${node}"`).join(" ");
    const receipt = `revision=7, nodes=${nodes}${out && `, waited-out=(${out})`}`;
    await route.fulfill({ response, headers: { ...response.headers(), "fleet-receipt": receipt } });
  });
}

test(
  "a change says on how many processes it holds, and where requests may still run",
  async (visit) => {
    const { key } = await visit.issue("on three");
    const page = await visit.signIn(`#/keys/${key.id}`);
    const said = page.getByRole("status").filter({ hasText: "The key was" });
    await page.getByRole("button", { name: "Disable" }).click();
    await said.getByText(/^The key was disabled\. Enable it to let it in again\.$/).waitFor();
    await shared(page, "**/v1/api-keys/*/enable", 3);
    await page.getByRole("button", { name: "Enable" }).click();
    await said.getByText(/^The key was enabled\. It holds on all 3 processes\.$/).waitFor();
    // The screen is drawn anew, and a click on what it replaces would be lost.
    await page.getByRole("button", { name: "Disable" }).waitFor();
    await shared(page, "**/v1/api-keys/*/revoke", 3, ["0a0a", "0b0b"]);
    await page.getByRole("button", { name: "Revoke…" }).click();
    await page.getByLabel("Reason").fill("a test");
    await page.getByLabel("Type the key's name").fill("on three");
    await page.getByRole("button", { name: "Revoke key" }).click();
    await said.getByText("Requests under way may still run on those that don't answer: 0a0a, 0b0b.").waitFor();
    await shared(page, `**/v1/api-keys/${key.id}`, 3);
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete key" }).click();
    await said.getByText("The key was deleted. It holds on all 3 processes.").waitFor();
  },
  { once: true },
);

test(
  "a change of several keys says where all of its steps hold",
  async (visit) => {
    for (const name of ["shared one", "shared two"]) await visit.issue(name);
    const page = await visit.signIn("#/keys?q=shared");
    await page.getByLabel("Select all on this page").check();
    await page.getByRole("button", { name: "Revoke…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("2 keys will be revoked:").waitFor();
    await dialog.getByLabel("Reason").fill("a test");
    await dialog.getByLabel("Type the number").fill("2");
    await shared(page, "**/v1/api-keys/bulk-revoke", 2, ["0a0a"]);
    await dialog.getByRole("button", { name: "Revoke 2 keys" }).click();
    const said = dialog.getByRole("status");
    await said.getByText("2 keys were revoked. It holds on all 2 processes.").waitFor();
    await said.getByText("don't answer: 0a0a.").waitFor();
  },
  { once: true },
);
