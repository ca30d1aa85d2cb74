/** Back, forward and reload. */

import { test } from "../harness.mjs";

test("back, forward and reload work on every screen", async (visit) => {
  const { key } = await visit.issue("visited");
  const screens = [
    ["#/keys", "API keys"],
    ["#/keys/new", "Create a key"],
    [`#/keys/${key.id}`, "visited"],
    [`#/keys/${key.id}/edit`, "Edit visited"],
  ];
  const page = await visit.signIn();
  const heading = (name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  for (const [address, name] of screens) {
    await page.goto(`${visit.service.page}${address}`);
    await heading(name);
    await page.reload();
    await heading(name);
  }
  for (const [, name] of screens.slice(0, -1).reverse()) {
    await page.goBack();
    await heading(name);
  }
  await page.goForward();
  await heading("Create a key");
  await page.goto(`${visit.service.page}#/keys/key_unknown`);
  await page.getByText("There is no such page or key.").waitFor();
});
