/** An attacker's page in the same browser. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "../harness.mjs";

test("an attacker's page on another port or site reads and changes nothing", async (visit) => {
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
});
