/**
 * The element in a page of a host with a login of its own, and an organization with 10,000 keys and 100,000 audit events:
 * `node embedded.mjs <browser> <address of the host's page> "" all|main`. The host is `tests/console/embedded`.
 */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { assertAccessible, main, test } from "./harness.mjs";

/** For screens of many rows. */
const LONG_MS = 60_000;

/** Opens the host's page as somebody whom the host has signed in. */
async function signedIn(visit, name, address = "") {
  const page = await visit.open();
  await page.goto(`${visit.service.origin}/login?as=${name}`);
  await page.goto(`${visit.service.page}${address}`);
  return page;
}

/** What the host has heard. */
const heard = (page) => page.locator("#events").textContent();

test("without a session there is the host's own sign-in, and no form for a key", async (visit) => {
  const page = await visit.open("#/audit");
  const link = page.getByRole("link", { name: "Sign in" });
  await link.waitFor();
  assert.equal(await page.locator("input").count(), 0);
  await assertAccessible(visit, page, "no session");
  await link.click();
  await page.getByRole("link", { name: "CI of the website" }).waitFor();
  await page.getByText("alice", { exact: true }).first().waitFor();
  assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
  // What the list still asks for would already find that the session is over.
  await page.waitForLoadState("networkidle");
  await visit.context.clearCookies();
  await page.getByRole("link", { name: "Audit trail" }).click();
  await page.getByRole("heading", { name: "Your session has ended" }).waitFor();
});

test("the host hears of keys, and of no secret", async (visit) => {
  const page = await signedIn(visit, "alice", "#/keys/new?name=heard&scope=files:read");
  await page.getByRole("button", { name: "Create key" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Reveal" }).click();
  const secret = await dialog.getByLabel("Secret", { exact: true }).textContent();
  await dialog.getByLabel("I have stored it").check();
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByRole("heading", { name: "heard" }).waitFor();
  const id = page.url().split("/").at(-1);
  assert.equal(await heard(page), `apikey-created {"id":"${id}"}\n`);
  await page.getByRole("button", { name: "Revoke…" }).click();
  await page.getByLabel("Reason").fill("a test");
  await page.getByLabel("Type the key's name").fill("heard");
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("Revoked on").waitFor();
  assert.equal(await heard(page), `apikey-created {"id":"${id}"}\napikey-revoked {"id":"${id}"}\n`);
  assert.ok(!(await heard(page)).includes(secret));
});

test("whoever may not see keys is told who can give them one", async (visit) => {
  const page = await signedIn(visit, "carol");
  await page.getByRole("heading", { name: "You can't see API keys" }).waitFor();
  await page.getByText("Ask Dana for a key.").waitFor();
  await assertAccessible(visit, page, "no rights");
});

test("styles stay on their side of the element", async (visit) => {
  const page = await signedIn(visit, "alice");
  const create = page.getByRole("link", { name: "Create key" });
  await create.waitFor();
  const colour = (locator, name) => locator.evaluate((one, what) => getComputedStyle(one)[what], name);
  assert.equal(await colour(page.locator("#own"), "backgroundColor"), "rgb(200, 0, 0)");
  assert.equal(await colour(page.locator("#own"), "borderRadius"), "30px");
  assert.equal(await colour(page.locator("header > h1").first(), "fontSize"), "40px");
  const export_ = page.getByRole("button", { name: "Export…" });
  assert.notEqual(await colour(export_, "backgroundColor"), "rgb(200, 0, 0)");
  assert.notEqual(await colour(page.locator("apikey-console h1").first(), "color"), "rgb(120, 0, 120)");
  assert.equal(await colour(create, "backgroundColor"), "rgb(0, 90, 60)", "the theme's accent");
});

for (const [width, colorScheme] of [
  [1280, "light"],
  [390, "dark"],
]) {
  test(
    `usage marks spikes, and every room is accessible and fits, ${width} px, ${colorScheme}`,
    async (visit) => {
      const page = await signedIn(visit, "alice");
      const cards = page.getByRole("navigation", { name: "What needs attention" });
      await cards.getByRole("link", { name: /^1 Spikes/ }).waitFor();
      await cards.getByRole("link", { name: /^1 Expiring soon/ }).waitFor();
      await assertAccessible(visit, page, "attention");
      await cards.getByRole("link", { name: /Spikes/ }).click();
      await page.getByText("▲ marks spikes").waitFor();
      await page.getByText("Show as a table").click();
      assert.equal(await page.getByRole("rowheader", { name: "▲ spike" }).count(), 1);
      await assertAccessible(visit, page, "usage");
      await page.getByRole("link", { name: "nightly export" }).click();
      await page.getByRole("heading", { name: "nightly export" }).waitFor();
      await page.getByText("Show as a table").waitFor();
      assert.equal(await page.getByText("▲ spike").count(), 0);
      await page.getByRole("link", { name: "Audit trail" }).click();
      await page.getByRole("heading", { name: "Audit trail" }).waitFor();
      await assertAccessible(visit, page, "audit");
      await page.getByRole("link", { name: "Service accounts" }).click();
      await page.getByRole("heading", { name: "Service accounts" }).waitFor();
      await page.getByRole("link", { name: "website", exact: true }).click();
      await page.getByRole("button", { name: "Rotate all…" }).waitFor();
      await assertAccessible(visit, page, "an account");
    },
    { viewport: { width, height: 844 }, colorScheme, once: width === 390 },
  );
}

test("another port or site reads and changes nothing with the host's login", async (visit) => {
  await signedIn(visit, "alice");
  const server = createServer((_, answer) =>
    answer.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>"),
  );
  await new Promise((resolve) => server.listen(0, resolve));
  try {
    for (const origin of [`http://127.0.0.1:${server.address().port}`, `http://localhost:${server.address().port}`]) {
      const evil = await visit.context.newPage();
      await evil.goto(origin);
      const attempts = await evil.evaluate(async (api) => {
        const attempt = async (path, options) => {
          try {
            const answer = await fetch(`${api}${path}`, { credentials: "include", ...options });
            return `${answer.status} ${await answer.text()}`;
          } catch {
            return "blocked";
          }
        };
        return [
          await attempt("api-keys", {}),
          await attempt("api-keys/bulk-revoke", { method: "POST", mode: "no-cors", body: '{"everything": true}' }),
          await attempt("service-accounts", { method: "POST", body: '{"name": "evil"}' }),
        ];
      }, `${visit.service.origin}/keys/v1/`);
      assert.deepEqual(attempts, ["blocked", "0 ", "blocked"], origin);
      await evil.close();
    }
  } finally {
    server.close();
  }
  const page = await signedIn(visit, "alice", "#/accounts");
  await page.getByRole("heading", { name: "Service accounts", level: 1 }).waitFor();
  await page.getByRole("link", { name: "website", exact: true }).waitFor();
  assert.equal(await page.getByRole("link", { name: "evil" }).count(), 0);
  await page.getByRole("link", { name: "website", exact: true }).click();
  await page.getByText("Active").first().waitFor();
});

test(
  "10,000 keys and 100,000 events are read page by page",
  async (visit) => {
    const page = await signedIn(visit, "olga");
    await page.getByText("10000 keys in use").waitFor({ timeout: LONG_MS });
    /** From the API's last answer to the screen: printed, since machines differ. */
    const measured = async (name, address, shown) => {
      await page.evaluate(() => performance.clearResourceTimings());
      const spent = page.evaluate(
        () =>
          new Promise((resolve, reject) => {
            setTimeout(() => reject(new Error("the screen never comes to rest")), 60_000);
            const root = document.querySelector("apikey-console").shadowRoot;
            let last = 0;
            const watch = new MutationObserver(() => {
              last = performance.now();
            });
            watch.observe(root, { childList: true, subtree: true });
            const quiet = setInterval(() => {
              if (!last || performance.now() - last < 700) return;
              clearInterval(quiet);
              const calls = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/v1/"));
              resolve(Math.round(last - Math.max(...calls.map(({ responseEnd }) => responseEnd))));
            }, 100);
          }),
      );
      await page.goto(`${visit.service.page}${address}`);
      await shown.waitFor({ timeout: LONG_MS });
      console.log(`${name}: ${await spent} ms of script after the API's last answer`);
    };
    await measured("the audit trail", "#/audit", page.getByRole("button", { name: "Show older" }));
    const rows = page.getByRole("row");
    const before = await rows.count();
    await page.getByRole("button", { name: "Show older" }).click();
    await page.waitForFunction(
      (count) => document.querySelector("apikey-console").shadowRoot.querySelectorAll("tr").length > count,
      before,
    );
    await measured("the list of keys", "#/keys", page.getByRole("link", { name: "Older keys" }));
    await page.getByText("99+").first().waitFor();
    await measured("usage", "#/usage", page.getByText("Longest lifetime"));
    await page.goto(`${visit.service.page}#/keys`);
    // The screen before has such a button, too.
    await page.getByRole("link", { name: "Older keys" }).waitFor({ timeout: LONG_MS });
    await page.getByRole("button", { name: "Export…" }).click();
    await page.getByText("10,000 rows.").waitFor({ timeout: LONG_MS });
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save as CSV" }).click();
    assert.equal((await download).suggestedFilename(), "API keys.csv");
  },
  { once: true },
);

await main();
