/** The page behind a proxy that serves it at a longer path than the service knows. */

import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { test, Visit } from "../harness.mjs";
import { takeSecret } from "../steps.mjs";

/** A proxy that takes `prefix` off paths, and answers nothing else. */
async function proxied(prefix, origin) {
  const { hostname, port } = new URL(origin);
  const server = createServer((asked, answer) => {
    if (!asked.url.startsWith(`${prefix}/`)) return answer.writeHead(404).end();
    const path = asked.url.slice(prefix.length);
    const options = { hostname, port, path, method: asked.method, agent: false };
    const passed = request({ ...options, headers: { ...asked.headers, connection: "close" } }, (given) => {
      const { connection: _, ...headers } = given.headers;
      answer.writeHead(given.statusCode, headers);
      given.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

test("a key's life behind a proxy that rewrites paths", async (visit) => {
  const { page: address, key } = visit.service.proxied;
  const server = await proxied("/acme", new URL(address).origin);
  const origin = `http://127.0.0.1:${server.address().port}`;
  const behind = new Visit({ page: `${origin}/acme/keys/`, origin, key }, visit.browser, visit.context);
  try {
    const page = await behind.signIn("#/keys/new");
    await page.getByLabel("Name", { exact: true }).fill("behind a proxy");
    await page.getByRole("button", { name: "Create key" }).click();
    await page.getByRole("dialog").getByText(`${origin}/acme/keys/v1/whoami`).waitFor();
    await takeSecret(page);
    await page.getByRole("button", { name: "Revoke…" }).click();
    await page.getByLabel("Reason").fill("a test");
    await page.getByLabel("Type the key's name").fill("behind a proxy");
    await page.getByRole("button", { name: "Revoke key" }).click();
    await page.getByText("Revoked on").waitFor();
    await page.reload();
    await page.getByText("Revoked on").waitFor();
    const [{ path }] = await visit.context.cookies(`${origin}/acme/keys/v1/whoami`);
    assert.equal(path, "/acme/keys/v1");
    for (const [room, text] of [
      ["Service accounts", "No service accounts yet"],
      ["Usage", "Longest lifetime"],
      ["Audit trail", "Reason: a test"],
      ["Keys", "behind a proxy"],
    ]) {
      await page.getByRole("link", { name: room, exact: true }).click();
      await page.getByText(text).first().waitFor();
    }
    await page.getByRole("link", { name: /Never used/ }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    assert.deepEqual(await visit.context.cookies(), []);
    assert.deepEqual(behind.complaints, []);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
