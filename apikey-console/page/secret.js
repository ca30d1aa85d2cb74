/** The secret of a key, once: it is in this dialog alone, and gone with it. */

import { apiBase } from "./api.js";
import { openDialog } from "./dialog.js";
import { div, el, p, theirs } from "./dom.js";
import { button, copyButton } from "./parts.js";

/** Shows a key's secret until it is stored. @param {Context} ctx @param {IssuedKey} issued @param {string} title */
export function showSecret(ctx, { key, secret }, title) {
	const about = [
		"This is the only time that the secret of ",
		el("strong", {}, theirs(key.name)),
		" is shown. Store it now, in a secret manager or where its program reads it. If it gets lost, rotate the key.",
	];
	return shownOnce(ctx, title, [p("", about)], secret, [
		["Secret", (text) => text],
		["For a .env file", (text) => `API_KEY=${text}`],
		["Try it", (text) => `curl -H "Authorization: Bearer ${text}" ${new URL("whoami", apiBase).href}`],
	]);
}

/**
 * Shows a secret until it is stored, in lines that can be copied. Ends when the dialog does.
 * @param {Context} ctx @param {string} title @param {Child[]} about @param {string} secret
 * @param {[string, (shown: string) => string][]} texts What the lines are called, and what they say.
 * @returns {Promise<void>}
 */
export function shownOnce(ctx, title, about, secret, texts) {
	return new Promise((resolve) => {
		const masked = `${secret.slice(0, secret.lastIndexOf("_") + 1)}${"•".repeat(16)}`;
		/** @type {[HTMLElement, (shown: string) => string][]} */
		const places = [];
		/** @param {string} label @param {(shown: string) => string} text @param {HTMLElement | null} more */
		const line = (label, text, more) => {
			const shown = el("pre", { tabindex: "0", "aria-label": label });
			places.push([shown, text]);
			const copy = copyButton(() => text(secret), label);
			copy.autofocus = more !== null;
			return div("line", el("h3", {}, label), div("code", shown, more, copy));
		};
		let isShown = false;
		const draw = () => {
			for (const [place, text] of places) place.textContent = text(isShown ? secret : masked);
		};
		const reveal = button(
			"Reveal",
			() => {
				isShown = !isShown;
				reveal.textContent = isShown ? "Hide" : "Reveal";
				draw();
			},
			"small",
		);
		const lines = texts.map(([label, text], index) => line(label, text, index === 0 ? reveal : null));
		draw();
		untilStored(ctx, title, [...about, ...lines], "I have stored it", () => {
			for (const [place] of places) place.textContent = "";
			resolve();
		});
	});
}

/**
 * A dialog with what is shown only once: it stays until the reader says that it is stored.
 * @param {Context} ctx @param {string} title @param {Child[]} content @param {string} label @param {() => void} onclose
 */
export function untilStored(ctx, title, content, label, onclose) {
	const box = el("input", { type: "checkbox" });
	const done = button("Done", () => close(), "primary");
	done.disabled = true;
	const hint = el("p", { class: "hint", role: "status" }, "Tick the box to close this.");
	box.addEventListener("change", () => {
		done.disabled = !box.checked;
		hint.hidden = box.checked;
	});
	const { dialog, close } = openDialog(
		ctx,
		title,
		[content, el("label", "choice", box, el("span", {}, label)), div("actions", done, hint)].flat(),
		{
			class: "secret",
			mayClose: () => box.checked,
			onclose: () => {
				ctx.guard(null);
				onclose();
			},
		},
	);
	dialog.setAttribute("closedby", "none");
	ctx.guard(() => box.checked);
}
