/**
 * The screenshots of the documentation, of the host's organization `acme`:
 * `SCREENSHOTS=1 cargo test -p apikey-tests --test console people_manage_keys`. They are written to `docs/page`.
 */

import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [executablePath, address] = process.argv.slice(2);
const folder = new URL("../../docs/page/", import.meta.url).pathname;
const { origin } = new URL(address);

/** What is shown: the screen's address, and a text that says that it is there. */
const SCREENS = {
  keys: ["#/keys", "Expiring soon"],
  usage: ["#/usage", "Longest lifetime"],
};

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"] });
for (const [width, height, colorScheme] of [
  [1280, 660, "light"],
  [1280, 660, "dark"],
  [390, 740, "light"],
  [390, 740, "dark"],
]) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const page = await context.newPage();
  await page.goto(`${origin}/login?as=alice`);
  for (const [name, [screen, text]] of Object.entries(SCREENS)) {
    // The page itself, with the host's login.
    await page.goto(`${origin}/keys/${screen}`);
    await page.getByText(text).first().waitFor();
    if (name === "usage") await page.getByRole("button", { name: "7 days" }).click();
    await page.waitForFunction(() => {
      const { shadowRoot } = document.querySelector("apikey-console");
      return !shadowRoot.querySelector("[aria-busy=true]");
    });
    // Owners' names come after their keys.
    await page.waitForLoadState("networkidle");
    await page.screenshot({ path: `${folder}${name}-${width}-${colorScheme}.png` });
  }
  await context.close();
}
await browser.close();
console.log("8 of 8 passed");
