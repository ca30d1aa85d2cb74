/** A service that is slow, or fails, or can't be reached. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

test(
  "a slow API is waited for, and a failing one can be asked again",
  async (visit) => {
    const page = await visit.signIn();
    let answer = () => {};
    const isSeen = new Promise((resolve) => {
      answer = () => resolve(null);
    });
    await page.route("**/v1/limits", async (route) => {
      await isSeen;
      await route.continue();
    });
    await page.getByRole("link", { name: "Create key" }).click();
    await page.getByText("Loading…").waitFor();
    answer();
    await page.getByLabel("Name", { exact: true }).waitFor();
    await page.unroute("**/v1/limits");
    const problem = {
      status: 503,
      contentType: "application/problem+json",
      body: '{"detail": "This can\'t be done right now.", "code": "unavailable"}',
    };
    await page.route("**/v1/limits", (route) => route.fulfill(problem));
    await page.getByRole("link", { name: "Cancel" }).click();
    await page.getByText("This can't be done right now.").waitFor();
    await page.unroute("**/v1/limits");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "API keys" }).waitFor();
  },
  { once: true },
);

test(
  "a dialog whose change fails keeps what was typed",
  async (visit) => {
    visit.expected.push(/net::ERR_FAILED/);
    const { key } = await visit.issue("not revoked yet");
    const page = await visit.signIn(`#/keys/${key.id}`);
    await page.getByRole("button", { name: "Revoke…" }).click();
    const reason = page.getByLabel("Reason");
    await reason.fill("leaked");
    await page.getByLabel("Type the key's name").fill("not revoked yet");
    await page.route("**/revoke", (route) => route.abort());
    await page.getByRole("button", { name: "Revoke key" }).click();
    await page.getByText("It may or may not have made the change.").waitFor();
    assert.equal(await reason.inputValue(), "leaked");
    await page.unroute("**/revoke");
    await page.getByRole("button", { name: "Revoke key" }).click();
    await page.getByText("Revoked on").waitFor();
  },
  { once: true },
);
