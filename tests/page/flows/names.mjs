/** Names that somebody else wrote. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

// A name has at most 100 characters.
const NAMES = {
  markup: `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script><b>bold</b>`,
  "100 emoji": "🔑".repeat(100),
  "right to left": "מפתח של האתר (ראשי) 2",
  template: "{{constructor.constructor('alert(1)')()}} %s &amp; &lt;b&gt;",
};

for (const [kind, name] of Object.entries(NAMES)) {
  test(
    `a name of ${kind} is shown harmless and whole`,
    async (visit) => {
      const { key } = await visit.issue(name);
      assert.equal(key.name, name);
      const page = await visit.signIn(`#/keys/${key.id}`);
      const whole = async (place) => {
        await place.waitFor();
        assert.equal(await place.textContent(), name);
        const hasMarkup = await place.evaluate((one) => one.querySelector("img, script, b") !== null);
        assert.ok(!hasMarkup, "it was taken for markup");
        const isIsolated = await place.evaluate((one) => (one.closest("bdi") ?? one.querySelector("bdi")) !== null);
        assert.ok(isIsolated, "its direction reaches the text around it");
      };
      await whole(page.getByRole("heading", { level: 1 }));
      await page.getByRole("button", { name: "Revoke…" }).click();
      await whole(page.getByRole("dialog").locator("strong bdi"));
      await page.keyboard.press("Escape");
      await page.goto(`${visit.service.page}#/keys/${key.id}/edit`);
      await page.getByRole("button", { name: "Save changes" }).waitFor();
      assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), name);
      await page.goto(`${visit.service.page}#/keys`);
      await whole(page.getByRole("rowheader").filter({ hasText: name }).getByRole("link"));
      const isWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      assert.ok(!isWide, "the list is wider than its window");
      assert.ok(!(await page.title()).includes("owned"));
    },
    { viewport: { width: 320, height: 700 } },
  );
}

test("names with controls of direction are refused at their field", async (visit) => {
  const page = await visit.signIn("#/keys/new");
  await page.getByLabel("Name", { exact: true }).fill("invoice\u202Efdp.exe");
  await page.getByRole("button", { name: "Create key" }).click();
  await page.locator("[data-field=name] .error:not(:empty)").waitFor();
});

test("controls of direction in a name stay within it", async (visit) => {
  const { key } = await visit.issue("from elsewhere");
  const name = "invoice\u202Efdp.exe\u2066";
  await visit.context.route(`**/v1/api-keys/${key.id}`, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), name } });
  });
  const page = await visit.signIn(`#/keys/${key.id}`);
  const heading = page.getByRole("heading", { level: 1 }).locator("bdi");
  assert.equal(await heading.textContent(), name);
  assert.equal(await heading.evaluate((one) => getComputedStyle(one).unicodeBidi), "isolate");
});
