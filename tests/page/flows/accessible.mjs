/** Every screen and dialog as axe sees it, in several windows. */

import { assertAccessible, test } from "../harness.mjs";

for (const [width, colorScheme] of [
  [1280, "light"],
  [390, "dark"],
  [320, "light"],
  [1280, "dark"],
]) {
  test(
    `every screen is accessible and fits, ${width} px, ${colorScheme}`,
    async (visit) => {
      const { key } = await visit.issue(`measured ${width} ${colorScheme}`, ["files:read", "files:write"]);
      const page = await visit.open();
      await page.getByLabel("API key", { exact: true }).waitFor();
      await assertAccessible(visit, page, "sign in");
      await page.close();
      const main = await visit.signIn();
      await main.getByRole("link", { name: "Create key" }).waitFor();
      await assertAccessible(visit, main, "the list");
      await main.goto(`${visit.service.page}#/keys/new`);
      await main.getByLabel("Name", { exact: true }).waitFor();
      await assertAccessible(visit, main, "create");
      await main.goto(`${visit.service.page}#/keys/${key.id}`);
      await main.getByText("Created", { exact: true }).last().waitFor();
      await assertAccessible(visit, main, "a key");
      for (const [name, where] of [
        ["Rotate…", "rotate"],
        ["Revoke…", "revoke"],
      ]) {
        await main.getByRole("button", { name }).click();
        await main.getByRole("dialog").waitFor();
        await assertAccessible(visit, main, where);
        await main.keyboard.press("Escape");
      }
      await main.getByRole("button", { name: "Duplicate" }).click();
      await main.getByRole("dialog").waitFor();
      await assertAccessible(visit, main, "the secret");
    },
    { viewport: { width, height: 844 }, colorScheme },
  );
}
