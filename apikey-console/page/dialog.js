/** Dialogs: the browser's own. */

import { div, el, uniqueId } from "./dom.js";
import { formOf } from "./form.js";
import { button } from "./parts.js";

/**
 * Opens a dialog, and returns how to close it. The browser gives the focus back when it closes.
 * @param {Pick<Context, "root">} ctx @param {string} title @param {Child[]} content
 * @param {{mayClose?: () => boolean, onclose?: () => void, class?: string}} [options]
 */
export function openDialog(ctx, title, content, { mayClose = () => true, onclose, class: name = "" } = {}) {
	const id = uniqueId("dialog");
	const heading = el("h2", { id }, title);
	const dialog = el("dialog", { class: `dialog ${name}`, "aria-labelledby": id }, heading, content);
	let isDone = false;
	const end = () => {
		if (!dialog.isConnected) return;
		dialog.remove();
		onclose?.();
	};
	const close = () => {
		isDone = true;
		dialog.close();
		// The browser's event comes later, and what is shown only once is gone at once.
		end();
	};
	dialog.addEventListener("cancel", (event) => {
		if (!mayClose()) event.preventDefault();
		else isDone = true;
	});
	dialog.addEventListener("close", () => {
		// Browsers close a dialog at the second Escape, whatever the page says.
		if (!isDone && !mayClose()) dialog.showModal();
		else end();
	});
	ctx.root.append(dialog);
	dialog.showModal();
	return { dialog, close };
}

/**
 * Says something in a dialog that has a button to close it.
 * @param {Pick<Context, "root">} ctx @param {string} title @param {Child[]} content @param {() => void} [onclose]
 */
export function tell(ctx, title, content, onclose) {
	const { close } = openDialog(
		ctx,
		title,
		[
			...content,
			div(
				"actions",
				button("Close", () => close()),
			),
		],
		{ onclose },
	);
}

/**
 * Opens a dialog with a form, and closes it when its action is done.
 * @param {Context} ctx @param {string} title @param {string} label The button's. @param {Child[]} content
 * @param {(form: HTMLFormElement, close: () => void) => Promise<void>} action @param {string} [tone]
 */
export function ask(ctx, title, label, content, action, tone = "primary") {
	const done = async (/** @type {HTMLFormElement} */ form) => {
		await action(form, close);
		if (dialog.open) close();
	};
	const cancel = button("Cancel", () => close());
	const form = formOf(content, label, done, cancel, { tone });
	const { dialog, close } = openDialog(ctx, title, [form]);
}
