/** A browser, a service, and tests that fail for whatever the browser complains of. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Long past anything that the page does: what takes longer fails. */
const PATIENCE_MS = 15_000;

/** Chrome logs every answer that is an error; these are the API's, which the page shows to its reader. */
const ANSWERS = /^Failed to load resource: the server responded with a status of (401|403|404|409|412|422|503)\b/;

/** @type {[string, (t: Visit) => Promise<void>, object][]} */
const tests = [];

/** Registers a test. `options` are those of a browser's context; `once` says that it runs on the first framework alone. */
export function test(name, run, { once = false, ...options } = {}) {
  tests.push([name, run, { once, options }]);
}

/** One reader of the page: a browser's context of their own. */
export class Visit {
  complaints = [];
  /** True while axe looks at the page: it tries to add a style of its own, which the policy keeps from it. */
  isMeasured = false;
  /** What the test expects the browser to log, such as lost connections. */
  expected = [];

  constructor(service, browser, context) {
    Object.assign(this, { service, browser, context });
  }

  /** Opens a tab at a screen. */
  async open(address = "") {
    const page = await this.context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("console", (message) => {
      const text = message.text();
      const isKnown = ANSWERS.test(text) || this.expected.some((pattern) => pattern.test(text));
      if (["error", "warning"].includes(message.type()) && !isKnown && !this.isMeasured) this.complaints.push(text);
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("request", (request) => {
      const { origin } = new URL(request.url());
      if (origin !== this.service.origin) this.complaints.push(`a request to ${request.url()}`);
    });
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
      );
    });
    await page.goto(`${this.service.page}${address}`);
    return page;
  }

  /** Opens a tab and signs in. */
  async signIn(address = "", key = this.service.key) {
    const page = await this.open(address);
    await page.getByLabel("API key", { exact: true }).fill(key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    await page.getByRole("button", { name: "Sign in" }).waitFor({ state: "detached" });
    return page;
  }

  /** Calls the API as a program does. */
  api(method, path, body, key = this.service.key) {
    return this.fetch(`${this.service.page}v1/${path}`, method, key, body);
  }

  /** The status of a request to the service itself with this key. */
  async status(key) {
    const answer = await fetch(`${this.service.origin}/files`, { headers: { Authorization: `Bearer ${key}` } });
    await answer.text();
    return answer.status;
  }

  async fetch(url, method, key, body) {
    const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
    const answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${url}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** A key that was issued for a test, and its secret. */
  async issue(name, scopes = ["files:read"]) {
    return this.api("POST", "api-keys", { name, scopes });
  }
}

/** Fails where axe finds anything, or where the page is wider than its window. */
export async function assertAccessible(visit, page, where) {
  visit.isMeasured = true;
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  visit.isMeasured = false;
  const found = violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`,
  );
  assert.deepEqual(found, [], where);
  const isWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  assert.ok(!isWide, `${where} is wider than its window`);
}

/** Runs every test, and says what came of each. */
export async function main() {
  const [executablePath, pageAddress, key, which, proxiedPage, proxiedKey] = process.argv.slice(2);
  const proxied = { page: proxiedPage, key: proxiedKey };
  const service = { page: pageAddress, origin: new URL(pageAddress).origin, key, proxied };
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"] });
  let failed = 0;
  const only = process.env.ONLY ?? "";
  const chosen = tests.filter(([name, , { once }]) => name.includes(only) && !(once && which === "main"));
  const start = Date.now();
  for (const [name, run, { options }] of chosen) {
    const began = Date.now();
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const visit = new Visit(service, browser, context);
    try {
      await run(visit);
      assert.deepEqual(visit.complaints, [], "what the browser complained of");
      console.log(`ok ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`failed: ${name}\n${error.stack}\nthe browser complained of: ${visit.complaints.join("\n")}`);
      for (const page of context.pages())
        console.log(
          `${page.url()} shows:\n${await page.locator("body").ariaSnapshot({ timeout: 1000 }).catch(String)}`,
        );
    }
    await context.close();
  }
  await browser.close();
  console.log(`${chosen.length - failed} of ${chosen.length} passed (${Math.round((Date.now() - start) / 1000)} s)`);
  process.exitCode = failed === 0 ? 0 : 1;
}
