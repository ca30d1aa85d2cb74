/**
 * The page in a real browser, against a service that was just started:
 * `node run.mjs <browser> <address of the page> <key> all|main`.
 */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { assertAccessible, main, test } from "./harness.mjs";

const MARKUP = `<img src=x onerror="document.title='owned'"> <b>שלום</b> ${"🔑".repeat(20)}`;

/** The secret that a dialog shows, stored and closed. */
async function takeSecret(page) {
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Reveal" }).click();
  const secret = await dialog.getByLabel("Secret", { exact: true }).textContent();
  await dialog.getByLabel("I have stored it").check();
  await dialog.getByRole("button", { name: "Done" }).click();
  await dialog.waitFor({ state: "detached" });
  return secret;
}

/** Everything that the page holds, its shadow root included. */
function wholeDocument(page) {
  return page.evaluate(
    () => document.documentElement.outerHTML + document.querySelector("apikey-console").shadowRoot.innerHTML,
  );
}

test(
  "a key's whole life",
  async (visit) => {
    const page = await visit.signIn();
    await page.getByRole("link", { name: "bootstrap" }).first().waitFor();
    await page.getByRole("link", { name: "Create key" }).click();
    await page.getByLabel("Name").fill("life of a key");
    await page.getByRole("checkbox", { name: "files:read" }).check();
    await page.getByRole("button", { name: "Create key" }).click();
    const first = await takeSecret(page);
    assert.equal(await visit.status(first), 200);
    assert.ok(!(await wholeDocument(page)).includes(first), "the secret is gone from the document");
    assert.ok(!page.url().includes(first), "the secret is in no address");
    const stored = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    );
    assert.equal(stored, '[{},{},""]');

    await page.getByRole("heading", { name: "life of a key" }).waitFor();
    await assert.doesNotReject(async () => {
      // Usage is written every few seconds.
      for (let attempt = 0; !(await page.getByText("1 accepted", { exact: true }).isVisible()); attempt += 1) {
        assert.ok(attempt < 40, "its use is never shown");
        await page.waitForTimeout(500);
        await page.reload();
        await page.getByText("refused for a missing scope").waitFor();
      }
    });

    await page.getByRole("button", { name: "Rotate…" }).click();
    await page.getByRole("radio", { name: "1 hour" }).check();
    await page.getByRole("button", { name: "Rotate key" }).click();
    const second = await takeSecret(page);
    assert.deepEqual([await visit.status(first), await visit.status(second)], [200, 200]);
    await page.getByRole("button", { name: "End it now" }).click();
    await page.getByText("Old secret", { exact: true }).waitFor({ state: "detached" });
    assert.deepEqual([await visit.status(first), await visit.status(second)], [401, 200]);

    await page.getByRole("button", { name: "Disable" }).click();
    await page.getByRole("button", { name: "Enable" }).waitFor();
    assert.equal(await visit.status(second), 401);
    await page.getByRole("button", { name: "Enable" }).click();
    await page.getByRole("button", { name: "Disable" }).waitFor();
    assert.equal(await visit.status(second), 200);

    await page.getByRole("button", { name: "Duplicate" }).click();
    const copy = await takeSecret(page);
    assert.equal(await visit.status(copy), 200);
    await page.goBack();

    await page.getByRole("button", { name: "Revoke…" }).click();
    await page.getByLabel("Reason").fill("not needed any more");
    await page.getByLabel("Type the key's name").fill("life of a key");
    await page.getByRole("button", { name: "Revoke key" }).click();
    await page.getByText("Revoked on").waitFor();
    assert.equal(await visit.status(second), 401);
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete key" }).click();
    await page.getByRole("heading", { name: "API keys" }).waitFor();
  },
  { everywhere: true },
);

test("a secret's dialog stays until the secret is stored", async (visit) => {
  const page = await visit.signIn();
  await page.getByRole("link", { name: "Create key" }).click();
  await page.getByLabel("Name").fill("guarded");
  await page.getByRole("button", { name: "Create key" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  for (const _ of [1, 2, 3]) await page.keyboard.press("Escape");
  await dialog.waitFor();
  await page.goBack();
  await dialog.waitFor();
  assert.ok(page.url().includes("#/keys/new"), page.url());
  assert.ok(await dialog.getByRole("button", { name: "Done" }).isDisabled());
  await takeSecret(page);
});

test("filters stand in the address, and a pasted secret does not", async (visit) => {
  const { key, secret } = await visit.issue("needle", ["files:write"]);
  const page = await visit.signIn();
  const search = page.getByRole("searchbox");
  await search.fill("needle");
  await page.getByRole("rowheader", { name: "bootstrap" }).waitFor({ state: "detached" });
  assert.ok(page.url().includes("q=needle"), page.url());
  await page.reload();
  assert.equal(await search.inputValue(), "needle");
  await page.getByLabel("Status").selectOption("revoked");
  await page.getByText("No key matches").waitFor();
  await page.goBack();
  await page.getByRole("link", { name: "needle" }).waitFor();
  await search.fill(key.hint);
  await page.getByRole("link", { name: "needle" }).waitFor();
  await search.fill(secret);
  await page.waitForURL((url) => url.hash.includes(secret.slice(-4)));
  await page.getByRole("link", { name: "needle" }).waitFor();
  assert.ok(!page.url().includes(secret), "the secret is in no address");
});

test("the API's errors stand at their fields, and what was typed stays", async (visit) => {
  visit.expected.push(/net::ERR_FAILED/);
  const page = await visit.signIn("#/keys/new?scope=files:read&expires=30d");
  assert.ok(await page.getByRole("checkbox", { name: "files:read" }).isChecked());
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("A name has at least 1 character.").waitFor();
  assert.equal(await page.getByLabel("Name").getAttribute("aria-invalid"), "true");
  await page.getByLabel("Name").fill("typed");
  await page.route("**/v1/api-keys", (route) => route.abort());
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("The service can't be reached.").waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), "typed");
  await page.unroute("**/v1/api-keys");
  await page.getByRole("button", { name: "Create key" }).click();
  await takeSecret(page);
});

test(
  "a change by somebody else meanwhile is shown, and nothing of it is lost",
  async (visit) => {
    const { key } = await visit.issue("edited by two");
    const one = await visit.signIn(`#/keys/${key.id}/edit`);
    const other = await visit.open(`#/keys/${key.id}/edit`);
    await other.getByLabel("Description").fill("by the other");
    await other.getByRole("button", { name: "Save changes" }).click();
    await other.getByRole("button", { name: "Rotate…" }).waitFor();
    await one.getByLabel("Name").fill("edited by one");
    await one.getByRole("button", { name: "Save changes" }).click();
    await one.getByText("Somebody else changed this key").waitFor();
    await one.getByText("by the other").first().waitFor();
    await one.getByRole("button", { name: "Save changes" }).click();
    await one.getByRole("heading", { name: "edited by one" }).waitFor();
    const { name, description } = await visit.api("GET", `api-keys/${key.id}`);
    assert.deepEqual([name, description], ["edited by one", "by the other"]);
  },
  { everywhere: true },
);

test("whoever is signed in with a key that is revoked elsewhere signs in again, and comes back", async (visit) => {
  const mine = await visit.issue("mine", ["*"]);
  const page = await visit.signIn(`#/keys/new?name=kept`, mine.secret);
  await page.getByLabel("Description").fill("typed before");
  await visit.api("POST", `api-keys/${mine.key.id}/revoke`, { reason: "elsewhere" });
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("Your session has ended").waitFor();
  assert.ok(!(await wholeDocument(page)).includes("typed before"));
  await page.getByLabel("API key", { exact: true }).fill(mine.secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This key isn't accepted.").waitFor();
  await page.getByLabel("API key", { exact: true }).fill(visit.service.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Create a key" }).waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), "kept");
});

test(
  "signing out ends the session in every tab",
  async (visit) => {
    const page = await visit.signIn();
    const other = await visit.open();
    await other.getByRole("link", { name: "Create key" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    assert.deepEqual(await visit.context.cookies(), []);
    await other.getByRole("link", { name: "Create key" }).click();
    await other.getByRole("button", { name: "Sign in" }).waitFor();
  },
  { everywhere: true },
);

test("a slow API is waited for, and a failing one can be asked again", async (visit) => {
  const page = await visit.signIn();
  await page.route("**/v1/limits", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 700));
    await route.continue();
  });
  await page.getByRole("link", { name: "Create key" }).click();
  await page.getByText("Loading…").waitFor();
  await page.getByLabel("Name").waitFor();
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
});

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

test("a key is created and revoked with the keyboard alone", async (visit) => {
  const page = await visit.signIn();
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const isOn = (name) =>
    page.evaluate((wanted) => document.activeElement?.shadowRoot?.activeElement?.textContent === wanted, name);
  const tabTo = async (name) => {
    for (let steps = 0; !(await isOn(name)); steps += 1) {
      assert.ok(steps < 60, `Tab never reaches ${name}`);
      await press("Tab");
    }
  };
  await tabTo("Create key");
  await press("Enter");
  await page.getByRole("heading", { name: "Create a key" }).waitFor();
  await page.keyboard.type("by keyboard");
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await press("Tab", "Tab", "Tab", "Tab");
  const box = page.getByLabel("I have stored it");
  for (let steps = 0; !(await box.evaluate((one) => one.matches(":focus"))); steps += 1) {
    assert.ok(steps < 20, "Tab never reaches the box");
    await press("Tab");
  }
  await press("Space", "Tab", "Enter");
  await page.getByRole("heading", { name: "by keyboard" }).waitFor();
  await tabTo("Revoke…");
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type("a test");
  await press("Tab");
  await page.keyboard.type("by keyboard");
  await press("Enter");
  await page.getByText("Revoked on").waitFor();
});

test("a dialog that is closed gives the focus back", async (visit) => {
  const { key } = await visit.issue("focused");
  const page = await visit.signIn(`#/keys/${key.id}`);
  await page.getByRole("button", { name: "Rotate…" }).click();
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.ok(await page.getByRole("button", { name: "Rotate…" }).evaluate((one) => one.matches(":focus")));
});

test("whoever may not do a thing is told so", async (visit) => {
  const reader = await visit.issue("looks on", ["keys:read"]);
  const page = await visit.signIn("", reader.secret);
  await page.getByText("Your key can look, but not make changes.").waitFor();
  await page.getByRole("link", { name: "looks on" }).click();
  await page.getByRole("heading", { name: "looks on" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Revoke…" }).count(), 0);
  await page.getByRole("button", { name: "Sign out" }).click();
  const writer = await visit.issue("passes on", ["keys:write", "files:read"]);
  await page.goto(`${visit.service.page}#/keys/new`);
  await page.getByLabel("API key", { exact: true }).fill(writer.secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("checkbox", { name: "files:write" }).waitFor();
  assert.ok(await page.getByRole("checkbox", { name: "files:write" }).isDisabled());
  await page.getByText("Your key lacks this scope.").first().waitFor();
  await page.getByText("Only keys with keys:admin may grant this.").first().waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  const stranger = await visit.issue("sees nothing", ["files:read"]);
  await page.getByLabel("API key", { exact: true }).fill(stranger.secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "This key can't see API keys" }).waitFor();
});

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
      await main.getByLabel("Name").waitFor();
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

test(
  "an attacker's page on another port or site reads and changes nothing",
  async (visit) => {
    const { key } = await visit.issue("attacked");
    const page = await visit.signIn();
    await page.getByRole("link", { name: "attacked" }).waitFor();
    const server = createServer((_, answer) =>
      answer.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>"),
    );
    await new Promise((resolve) => server.listen(0, resolve));
    const { port } = server.address();
    try {
      // Cookies ignore ports: this one is of the same site, and SameSite does nothing against it.
      for (const origin of [`http://127.0.0.1:${port}`, `http://localhost:${port}`]) {
        const evil = await visit.context.newPage();
        await evil.goto(origin);
        const read = await evil.evaluate(
          async ([base, id]) => {
            const attempt = async (path, options) => {
              try {
                const answer = await fetch(`${base}v1/${path}`, { credentials: "include", ...options });
                return `${answer.status} ${await answer.text()}`;
              } catch {
                return "blocked";
              }
            };
            const json = { "Content-Type": "application/json" };
            return [
              await attempt("api-keys", {}),
              await attempt(`api-keys/${id}/revoke`, { method: "POST", mode: "no-cors" }),
              await attempt(`api-keys/${id}`, { method: "DELETE" }),
              await attempt("session", { method: "POST", headers: json, body: "{}" }),
              await attempt("session", { method: "DELETE" }),
            ];
          },
          [visit.service.page, key.id],
        );
        assert.deepEqual(read, ["blocked", "0 ", "blocked", "blocked", "blocked"], origin);
        // A form needs no permission of the other side's.
        await evil.evaluate(
          ([base, id]) => {
            const form = document.createElement("form");
            Object.assign(form, { method: "POST", action: `${base}v1/api-keys/${id}/revoke` });
            document.body.append(form);
            form.submit();
          },
          [visit.service.page, key.id],
        );
        await evil.waitForURL("**/revoke");
        await evil.close();
      }
    } finally {
      server.close();
    }
    assert.equal((await visit.api("GET", `api-keys/${key.id}`)).status, "active");
    await page.reload();
    await page.getByRole("link", { name: "attacked" }).waitFor();
  },
  { everywhere: true },
);

await main();
