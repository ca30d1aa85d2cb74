/** The secret's dialog: what it shows, what keeps it open, and what is left behind. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";
import { takeSecret, wholeDocument } from "../steps.mjs";

/** Creates a key, and returns the page with its secret's dialog. */
async function created(visit, name) {
  const page = await visit.signIn();
  await page.getByRole("link", { name: "Create key" }).click();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("checkbox", { name: "files:read" }).check();
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByRole("dialog").waitFor();
  return page;
}

test("a secret's dialog stays until the secret is stored", async (visit) => {
  const page = await created(visit, "guarded");
  const dialog = page.getByRole("dialog");
  for (const _ of [1, 2, 3]) await page.keyboard.press("Escape");
  await dialog.waitFor();
  await page.goBack();
  await dialog.waitFor();
  assert.ok(page.url().includes("#/keys/new"), page.url());
  assert.ok(await dialog.getByRole("button", { name: "Done" }).isDisabled());
  await takeSecret(page);
});

test("a tab with a secret that is not stored asks before it closes", async (visit) => {
  const page = await created(visit, "guarded tab");
  const asked = page.waitForEvent("dialog");
  await page.close({ runBeforeUnload: true });
  const question = await asked;
  assert.equal(question.type(), "beforeunload");
  await question.dismiss();
  await takeSecret(page);
  const questions = [];
  page.on("dialog", (more) => questions.push(more.type()) && more.accept());
  const closed = page.waitForEvent("close");
  await page.close({ runBeforeUnload: true });
  await closed;
  assert.deepEqual(questions, []);
});

test(
  "a secret is masked until it is revealed, copied whole all the same, and then gone",
  async (visit) => {
    const page = await created(visit, "masked");
    const dialog = page.getByRole("dialog");
    const shown = () =>
      Promise.all(
        ["Secret", "For a .env file", "Try it"].map((label) => dialog.getByLabel(label, { exact: true }).textContent()),
      );
    const [masked, , curl] = await shown();
    assert.match(masked, /^demo_live_•+$/);
    const copied = async (label) => {
      const button = dialog.getByRole("button", { name: `Copy ${label}` });
      await button.click();
      await button.getByText("Copied").waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    const secret = await copied("Secret");
    assert.equal(await visit.status(secret), 200);
    assert.equal(await copied("Try it"), curl.replace(masked, secret));
    assert.ok(!(await wholeDocument(page)).includes(secret));
    await dialog.getByRole("button", { name: "Reveal" }).click();
    assert.deepEqual((await shown()).slice(0, 2), [secret, `API_KEY=${secret}`]);
    await dialog.getByRole("button", { name: "Hide" }).click();
    assert.equal((await shown())[0], masked);
    assert.equal(await takeSecret(page), secret);
    assert.ok(!(await wholeDocument(page)).includes(secret), "the secret is gone from the document");
    const kept = await page.evaluate(async () => [
      { ...localStorage },
      { ...sessionStorage },
      document.cookie,
      await caches.keys(),
      await indexedDB.databases(),
      history.state,
    ]);
    assert.deepEqual(kept, [{}, {}, "", [], [], null]);
  },
  { permissions: ["clipboard-read", "clipboard-write"] },
);
