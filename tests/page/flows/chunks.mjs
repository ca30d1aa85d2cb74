/** Files of the page that are loaded when they are first needed. */

import assert from "node:assert/strict";
import { assertAccessible, test } from "../harness.mjs";

test(
  "a file that can't be loaded is told of, and the page comes back where it was",
  async (visit) => {
    visit.expected.push(/net::ERR_(FAILED|INTERNET_DISCONNECTED)/);
    await visit.issue("unloaded");
    const page = await visit.signIn("#/keys?q=unloaded");
    await page.getByRole("link", { name: "unloaded" }).waitFor();
    const again = page.getByRole("button", { name: "Load the page again" });
    await page.route("**/audit.js", (route) => route.abort());
    await page.getByRole("link", { name: "Audit trail" }).click();
    await page.getByText("This part of the page could not be loaded").waitFor();
    await assertAccessible(visit, page, "a screen that is not there");
    // Browsers remember that a file failed.
    await page.unroute("**/audit.js");
    await visit.context.setOffline(true);
    await again.click();
    await page.getByRole("dialog").getByText("The service can't be reached.").waitFor();
    await page.keyboard.press("Escape");
    await visit.context.setOffline(false);
    await again.click();
    await page.getByRole("table", { name: "Audit events" }).waitFor();
    assert.match(page.url(), /#\/audit$/);
    // A new version of the service has no files of the old one.
    await page.route("**/revoke.js", (route) => route.fulfill({ status: 404 }));
    await page.goto(`${visit.service.page}#/keys?q=unloaded`);
    await page.getByRole("button", { name: "Somebody left…" }).click();
    await page.getByRole("dialog").getByText("This part of the page could not be loaded").waitFor();
    await page.unroute("**/revoke.js");
    await page.getByRole("dialog").getByRole("button", { name: "Load the page again" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Somebody left…" }).click();
    await page.getByText("Who left?").waitFor();
  },
  { once: true },
);
