/**
 * The page in a real browser, against a service that was just started: `node run.mjs <browser> <address of the page> <key>
 * all|main <address> <key>`. The last two are of a service whose public path is `/acme/keys`. Every file of `flows` registers
 * its tests. `ONLY=text` runs those whose names hold the text.
 */

import { readdirSync } from "node:fs";
import { main } from "./harness.mjs";

const flows = new URL("flows/", import.meta.url);

for (const name of readdirSync(flows).sort()) await import(new URL(name, flows).href);
await main();
