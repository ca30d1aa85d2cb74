/** Rows of a table that are chosen, and a bar of what can be done with them. */

import { el } from "./dom.js";

/**
 * Boxes in front of rows, one for all of them, and the bar.
 * @template T @param {string} label The bar's. @param {(chosen: () => T[]) => Child[]} actions What can be done.
 */
export function picks(label, actions) {
	/** @type {Map<HTMLInputElement, T>} */
	const boxes = new Map();
	const all = el("input", { type: "checkbox", "aria-label": "Select all on this page" });
	const count = el("strong", {});
	const shown = () => [...boxes].filter(([box]) => box.isConnected);
	const chosen = () =>
		shown()
			.filter(([box]) => box.checked)
			.map(([, item]) => item);
	const bar = el(
		"div",
		{ class: "selection", role: "group", "aria-label": label, hidden: true },
		count,
		actions(chosen),
	);
	const tell = () => {
		const { length } = chosen();
		bar.hidden = length === 0;
		count.textContent = `${length} selected`;
		all.checked = length > 0 && length === shown().length;
	};
	/** @param {HTMLElement} row @param {string} name @param {T} item */
	const add = (row, name, item) => {
		const box = el("input", { type: "checkbox", "aria-label": `Select ${name}`, onchange: tell });
		boxes.set(box, item);
		row.prepend(el("td", "pick", box));
	};
	all.addEventListener("change", () => {
		for (const [box] of shown()) box.checked = all.checked;
		tell();
	});
	return { add, all, bar, tell };
}
