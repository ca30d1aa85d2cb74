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
    { viewport: { width, height: 844 }, colorScheme, once: true },
  );
}

for (const [width, colorScheme] of [
  [1280, "light"],
  [390, "dark"],
]) {
  test(
    `every dialog about several keys is accessible and fits, ${width} px, ${colorScheme}`,
    async (visit) => {
      const account = await visit.api("POST", "service-accounts", { name: `dialogs ${width}` });
      const { key } = await visit.api("POST", "api-keys", { name: `several ${width}`, service_account_id: account.id });
      const page = await visit.signIn(`#/accounts/${account.id}`);
      const dialog = page.getByRole("dialog");
      const opened = async (button, text) => {
        await page.getByRole("button", { name: button, exact: true }).click();
        await dialog.getByText(text).first().waitFor();
        await assertAccessible(visit, page, button);
        await page.keyboard.press("Escape");
        await dialog.waitFor({ state: "detached" });
      };
      await opened("Rotate all…", "at most 1 key");
      await opened("Rename…", "Description");
      await opened("Disable…", "1 key will be refused");
      await page.getByRole("button", { name: "Delete…" }).click();
      await dialog.getByRole("button", { name: "Delete account" }).click();
      await dialog.getByText("This is not the account's name.").waitFor();
      await assertAccessible(visit, page, "Delete…");
      await page.keyboard.press("Escape");
      await page.goto(`${visit.service.page}#/accounts`);
      await opened("Create account…", "Description");
      await page.goto(`${visit.service.page}#/keys?q=several%20${width}`);
      await page.getByLabel(`Select several ${width}`).check();
      await assertAccessible(visit, page, "a selection");
      await opened("Disable…", "1 key will be refused");
      await opened("Enable…", "can't be enabled");
      await opened("Revoke…", "1 key will be revoked");
      await opened("Somebody left…", "Who left?");
      await opened("Export…", "1 rows.");
      await page.route(`**/v1/api-keys/${key.id}/duplicate`, (route) => route.fulfill({ status: 503, body: "{}" }));
      await page.goto(`${visit.service.page}#/keys/${key.id}`);
      await opened("Duplicate", "The service answered 503.");
    },
    { viewport: { width, height: 844 }, colorScheme, once: true },
  );
}
