/** Names that somebody else wrote. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

const MARKUP = `<img src=x onerror="document.title='owned'"> <b>שלום</b> ${"🔑".repeat(20)}`;

test("names with markup are shown as they are", async (visit) => {
  const { key } = await visit.issue(MARKUP);
  const page = await visit.signIn(`#/keys/${key.id}`);
  const heading = page.getByRole("heading", { level: 1 });
  await heading.waitFor();
  assert.equal(await heading.textContent(), MARKUP);
  await page.goto(`${visit.service.page}#/keys`);
  await page.getByRole("link", { name: MARKUP }).waitFor();
  assert.ok(!(await page.title()).includes("owned"));
});
