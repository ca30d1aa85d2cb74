/** The processes of the service. The one that is tested is alone on its database, so answers add another that is silent. */

import assert from "node:assert/strict";
import { assertAccessible, test } from "../harness.mjs";

const SILENT = "0a".repeat(16);

for (const [width, colorScheme] of [
  [1280, "light"],
  [320, "dark"],
]) {
  test(
    `operators see the processes and who is waited for, and what they see stays true, ${width} px`,
    async (visit) => {
      const page = await visit.signIn();
      let isSilent = true;
      let isDown = false;
      await page.route("**/v1/fleet", async (route) => {
        if (isDown) return route.fulfill({ status: 503, body: "{}" });
        const response = await route.fetch();
        const fleet = await response.json();
        if (isSilent) {
          const node = {
            id: SILENT,
            own: false,
            lease_seconds: 2.5,
            applied_revision: 0,
            behind: 1,
            silent_seconds: 7.2,
          };
          fleet.nodes.push(node);
          fleet.waits.push({ revision: 7, since: new Date().toISOString(), nodes: [SILENT] });
        }
        await route.fulfill({ response, json: fleet });
      });
      await page.getByRole("link", { name: "Processes" }).click();
      const row = (text) => page.getByRole("row").filter({ hasText: text });
      await row(SILENT).getByText("Waited for").waitFor();
      await row(SILENT).getByText("7 s ago").waitFor();
      await row(SILENT).getByText("2.5 s", { exact: true }).waitFor();
      await page.getByText("2 in all.").waitFor();
      await page
        .getByRole("listitem")
        .filter({ hasText: `Revision 7, just now, for ${SILENT}` })
        .waitFor();
      const own = row("answers you");
      await own.getByText("Up to date").waitFor();
      await own.getByText("10 s", { exact: true }).waitFor();
      const { own_id } = await visit.api("GET", "fleet");
      assert.ok((await own.textContent()).includes(own_id), "the process that answers");
      await assertAccessible(visit, page, "the processes");

      isSilent = false;
      await row(SILENT).waitFor({ state: "detached" });
      await page.getByText("None.", { exact: true }).waitFor();
      await page.getByText("1 in all.").waitFor();
      isDown = true;
      await page.getByRole("alert").getByText("503").waitFor();
      await own.getByText("Up to date").waitFor();
      isDown = false;
      await page.getByRole("alert").waitFor({ state: "detached" });
    },
    { viewport: { width, height: 844 }, colorScheme, once: true },
  );
}

test(
  "whoever is no operator sees no processes",
  async (visit) => {
    const page = await visit.open();
    await page.route("**/v1/whoami", async (route) => {
      const response = await route.fetch();
      await route.fulfill({
        response,
        json: response.ok() ? { ...(await response.json()), operator: false } : undefined,
      });
    });
    await page.getByLabel("API key", { exact: true }).fill(visit.service.key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("link", { name: "Audit trail" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "Processes" }).count(), 0);
  },
  { once: true },
);
