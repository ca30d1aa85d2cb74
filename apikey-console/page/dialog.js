/** Dialogs: the browser's own. */

import { el, uniqueId } from "./dom.js";
import { onSubmit } from "./form.js";
import { button } from "./parts.js";

/**
 * Opens a dialog, and returns how to close it. The browser gives the focus back when it closes.
 *
 * @param {Context} ctx
 * @param {string} title
 * @param {Child[]} content
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

/**
 * Opens a dialog with a form, and closes it when its action is done.
 *
 * @param {Context} ctx
 * @param {string} title
 * @param {string} label The button's.
 * @param {Child[]} content
 * @param {(form: HTMLFormElement, close: () => void) => Promise<void>} action
 * @param {string} [tone]
 */
export function ask(ctx, title, label, content, action, tone = "primary") {
	const form = el(
		"form",
		{ class: "form", novalidate: true },
		content,
		el("p", { class: "form-error", role: "alert" }),
		el(
			"div",
			{ class: "actions" },
			el("button", { class: `button ${tone}`, type: "submit" }, label),
			button("Cancel", () => close()),
		),
	);
	const { dialog, close } = openDialog(ctx, title, [form]);
	onSubmit(form, async () => {
		await action(form, close);
		if (dialog.open) close();
	});
}
