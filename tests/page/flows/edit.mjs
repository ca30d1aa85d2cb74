/** Two tabs that edit one key. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

test(
  "a change by somebody else meanwhile is shown, and nothing of it is lost",
  async (visit) => {
    const { key } = await visit.issue("edited by two");
    const one = await visit.signIn(`#/keys/${key.id}/edit`);
    const other = await visit.open(`#/keys/${key.id}/edit`);
    await other.getByLabel("Description").fill("by the other");
    await other.getByRole("button", { name: "Save changes" }).click();
    await other.getByRole("button", { name: "Rotate…" }).waitFor();
    await one.getByLabel("Name", { exact: true }).fill("edited by one");
    await one.getByRole("button", { name: "Save changes" }).click();
    await one.getByText("Somebody else changed this key").waitFor();
    await one.getByText("by the other").first().waitFor();
    await one.getByRole("button", { name: "Save changes" }).click();
    await one.getByRole("heading", { name: "edited by one" }).waitFor();
    const { name, description } = await visit.api("GET", `api-keys/${key.id}`);
    assert.deepEqual([name, description], ["edited by one", "by the other"]);
  },
  { once: true },
);
