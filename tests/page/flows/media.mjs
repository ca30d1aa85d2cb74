/** What readers have asked their system for: fewer colours, less motion. */

import assert from "node:assert/strict";
import { test } from "../harness.mjs";

/** What every element of the shown screen answers to `ask`. */
function everywhere(page, ask) {
  return page.locator("apikey-console").evaluate((element, source) => {
    const asked = (style) => source.map((name) => style.getPropertyValue(name)).join(" ");
    const all = [...element.shadowRoot.querySelectorAll("*")];
    return [...new Set(all.map((one) => asked(getComputedStyle(one))))];
  }, ask);
}

test(
  "forced colours leave every state and button its outline and its words",
  async (visit) => {
    const { key } = await visit.issue("in forced colours");
    await visit.api("POST", `api-keys/${key.id}/disable`);
    const page = await visit.signIn(`#/keys/${key.id}`);
    await page.getByText("Disabled on").waitFor();
    const badge = page.locator(".badge").first();
    assert.equal(await badge.textContent(), "Disabled");
    for (const place of [badge, page.getByRole("button", { name: "Revoke…" }), page.locator(".notice").first()]) {
      const [style, width] = await place.evaluate((one) => {
        const { borderTopStyle, borderTopWidth } = getComputedStyle(one);
        return [borderTopStyle, borderTopWidth];
      });
      assert.deepEqual([style, width], ["solid", "1px"]);
    }
  },
  { forcedColors: "active" },
);

for (const reducedMotion of ["reduce", "no-preference"]) {
  test(
    `nothing moves for those who want no motion: ${reducedMotion}`,
    async (visit) => {
      const { key } = await visit.issue("still");
      const page = await visit.signIn(`#/keys/${key.id}`);
      await page.getByRole("button", { name: "Rotate…" }).click();
      await page.getByRole("dialog").waitFor();
      const moves = await everywhere(page, ["transition-duration", "animation-name"]);
      const isStill = moves.length === 1 && moves[0] === "0s none";
      assert.equal(isStill, reducedMotion === "reduce", String(moves));
    },
    { reducedMotion },
  );
}
