/** Dialogs: the browser's own. */

import { el, uniqueId } from "./dom.js";

/**
 * Opens a dialog, and returns how to close it. The browser gives the focus back when it closes.
 *
 * @param {Context} ctx
 * @param {string} title
 * @param {import("./dom.js").Child[]} content
 * @param {{mayClose?: () => boolean, onclose?: () => void, class?: string}} [options]
 */
export function openDialog(ctx, title, content, { mayClose = () => true, onclose, class: name = "" } = {}) {
  const id = uniqueId("dialog");
  const heading = el("h2", { id }, title);
  const dialog = el("dialog", { class: `dialog ${name}`, "aria-labelledby": id }, heading, content);
  let isDone = false;
  const close = () => {
    isDone = true;
    dialog.close();
  };
  dialog.addEventListener("cancel", (event) => {
    if (!mayClose()) event.preventDefault();
    else isDone = true;
  });
  dialog.addEventListener("close", () => {
    // Browsers close a dialog at the second Escape, whatever the page says.
    if (!isDone && !mayClose()) return dialog.showModal();
    dialog.remove();
    onclose?.();
  });
  ctx.root.append(dialog);
  dialog.showModal();
  return { dialog, close };
}
