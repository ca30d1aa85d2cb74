/**
 * The screenshots of the documentation, of the hosts' organization `acme`:
 * `SCREENSHOTS=1 cargo test -p apikey-tests --test console -- --exact embedded::people_manage_keys_in_a_page_of_the_host
 * embedded::people_are_told_of_their_keys`. They are written to `docs/page`.
 */

import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";
import sharp from "sharp";

const [executablePath, address, , which] = process.argv.slice(2);
const folder = new URL("../../docs/page/", import.meta.url).pathname;
const { origin } = new URL(address);

/** What is shown: the screen's address, what is clicked there, and a text that says that it is there. */
const SCREENS = {
  told: { alerts: ["#/alerts", null, "expires in 6 days"] },
  all: {
    keys: ["#/keys", null, "Expiring soon"],
    key: ["#/keys?q=website", "website, production", "What it did to other keys"],
    usage: ["#/usage", "7 days", "Longest lifetime"],
    audit: ["#/audit", null, "Reason: leaked in a log"],
  },
};

const WINDOWS = [
  [1280, 660],
  [390, 740],
];

/** Fills the audit trail with what somebody did on a usual day. */
async function work(page) {
  await page.evaluate(async () => {
    const call = async (method, path, body) => {
      const headers = { "Content-Type": method === "PATCH" ? "application/merge-patch+json" : "application/json" };
      const answer = await fetch(`/keys/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    };
    const { items } = await call("GET", "api-keys?limit=50");
    const id = (name) => items.find((key) => key.name === name).id;
    const { key } = await call("POST", "api-keys", { name: "debugging", scopes: ["files:read"] });
    await call("PATCH", `api-keys/${id("website, preview")}`, { description: "Previews of pull requests" });
    await call("POST", `api-keys/${id("CI of the website")}/rotate`, { overlap_seconds: 86_400 });
    await call("POST", `api-keys/${id("Dana's laptop")}/disable`);
    await call("POST", `api-keys/${key.id}/revoke`, { reason: "leaked in a log" });
  });
}

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"] });
let made = 0;
for (const [width, height] of WINDOWS) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    const page = await context.newPage();
    await page.goto(`${origin}/login?as=alice`);
    if (made === 0 && which === "all") await work(page);
    for (const [name, [screen, clicked, text]] of Object.entries(SCREENS[which])) {
      // The page itself, with the host's login.
      await page.goto(`${origin}/keys/${screen}`);
      if (clicked) await page.getByText(clicked, { exact: true }).first().click();
      await page.getByText(text).first().waitFor();
      await page.waitForFunction(() => {
        const { shadowRoot } = document.querySelector("apikey-console");
        return !shadowRoot.querySelector("[aria-busy=true]");
      });
      // Owners' names come after their keys.
      await page.waitForLoadState("networkidle");
      const file = `${folder}${name}-${width}-${colorScheme}.png`;
      await sharp(await page.screenshot())
        .png({ palette: true, effort: 10 })
        .toFile(file);
      made += 1;
    }
    await context.close();
  }
}
await browser.close();
console.log(`${made} of ${made} passed`);
