/** Steps that several flows share. */

/** The secret that a dialog shows, stored and closed. */
export async function takeSecret(page) {
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Reveal" }).click();
  const secret = await dialog.getByLabel("Secret", { exact: true }).textContent();
  await dialog.getByLabel("I have stored it").check();
  await dialog.getByRole("button", { name: "Done" }).click();
  await dialog.waitFor({ state: "detached" });
  return secret;
}

/** Everything that the page holds, its shadow root included. */
export function wholeDocument(page) {
  return page.evaluate(
    () => document.documentElement.outerHTML + document.querySelector("apikey-console").shadowRoot.innerHTML,
  );
}
