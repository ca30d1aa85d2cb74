/** The page behind a proxy that serves it at a longer path than the service knows. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, Visit } from "../harness.mjs";
import { takeSecret } from "../steps.mjs";

/** `NGINX` may say where it is. */
const NGINX = [process.env.NGINX, "/usr/sbin/nginx", "/usr/bin/nginx"].find((path) => path && existsSync(path));

/** A port that was free a moment ago: nginx does not choose one. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts nginx, which takes `prefix` off paths. Returns its origin, and how to stop it. */
async function proxied(prefix, origin) {
  const folder = mkdtempSync(join(tmpdir(), "nginx-"));
  const port = await freePort();
  const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const lines = [
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr crit; events {}`,
    `http { access_log off; ${places.join(" ")}`,
    `server { listen 127.0.0.1:${port}; location ${prefix}/ { proxy_pass ${origin}/; proxy_set_header Host $http_host; } } }`,
  ];
  writeFileSync(join(folder, "nginx.conf"), lines.join("\n"));
  const nginx = spawn(NGINX, ["-p", folder, "-c", join(folder, "nginx.conf")], { stdio: "inherit" });
  const ended = new Promise((resolve) => nginx.on("exit", resolve));
  const stop = async () => {
    nginx.kill();
    await ended;
    rmSync(folder, { recursive: true });
  };
  const address = `http://127.0.0.1:${port}`;
  for (let attempt = 0; !(await fetch(address).catch(() => null)); attempt += 1) {
    assert.ok(attempt < 100 && nginx.exitCode === null, "nginx does not listen");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { origin: address, stop };
}

test("the main screens, and a key's life, behind nginx that rewrites paths", async (visit) => {
  if (!NGINX && process.env.CI !== "true") return console.log("skipped: no nginx (NGINX may say where it is)");
  const { page: address, key } = visit.service.proxied;
  const { origin, stop } = await proxied("/acme", new URL(address).origin);
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
    await stop();
  }
});
