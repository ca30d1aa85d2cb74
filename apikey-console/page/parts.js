/** What screens are made of: buttons, messages, and parts that are loaded by themselves. */

import { el, nodes } from "./dom.js";
import { href } from "./router.js";

/**
 * A button that is busy while its action runs.
 *
 * @param {string} label
 * @param {(event: Event) => unknown} action
 * @param {Record<string, unknown>} [attributes]
 */
export function button(label, action, attributes = {}) {
	const made = el("button", { type: "button", class: "button", ...attributes }, label);
	made.addEventListener("click", async (event) => {
		if (made.getAttribute("aria-busy") === "true") return;
		made.setAttribute("aria-busy", "true");
		try {
			await action(event);
		} finally {
			made.removeAttribute("aria-busy");
		}
	});
	return made;
}

/**
 * A button that copies a text, and says that it did.
 *
 * @param {() => string} text
 * @param {string} what
 */
export function copyButton(text, what) {
	const label = el("span", { "aria-live": "polite" }, "Copy");
	const copy = async () => {
		const done = await copied(text(), made);
		label.textContent = done ? "Copied" : "Press Ctrl+C";
		setTimeout(() => {
			label.textContent = "Copy";
		}, 2_000);
	};
	const made = el(
		"button",
		{ type: "button", class: "button small", "aria-label": `Copy ${what}`, onclick: copy },
		label,
	);
	return made;
}

/**
 * @param {string} text
 * @param {HTMLElement} near Browsers give the clipboard to pages over TLS alone; elsewhere a field beside this is selected.
 */
async function copied(text, near) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const field = el("textarea", { class: "visually-hidden", readonly: true, value: text });
		near.after(field);
		field.select();
		const done = document.execCommand("copy");
		field.remove();
		near.focus();
		return done;
	}
}

/**
 * A message about what went wrong.
 *
 * @param {unknown} error
 * @param {(() => void) | null} [retry]
 */
export function failure(error, retry = null) {
	const text = error instanceof Error ? error.message : String(error);
	return el(
		"div",
		{ class: "notice bad", role: "alert" },
		el("p", {}, text),
		retry && button("Try again", retry, { class: "button small" }),
	);
}

/**
 * A part of a screen that is loaded by itself, and fails by itself.
 *
 * @param {() => Promise<Child | Child[]>} load
 */
export function loaded(load) {
	const place = el("div", { class: "loaded", "aria-busy": "true" }, el("p", { class: "muted" }, "Loading…"));
	const run = async () => {
		place.setAttribute("aria-busy", "true");
		try {
			place.replaceChildren(...nodes([await load()].flat()));
		} catch (error) {
			if (/** @type {Error} */ (error).name !== "AbortError") place.replaceChildren(failure(error, run));
		}
		place.removeAttribute("aria-busy");
	};
	run();
	return place;
}

/**
 * A part of a screen under a heading.
 *
 * @param {Child} title
 * @param {...Child} content
 */
export function panel(title, ...content) {
	return el("section", { class: "panel" }, el("h2", {}, title), content);
}

/**
 * The way back to a screen.
 *
 * @param {string[]} path
 * @param {string} label
 */
export function trail(path, label) {
	return el("nav", { class: "trail", "aria-label": "Where you are" }, el("a", { href: href(path) }, label));
}

/**
 * A table. Those of the class `list` become cards where it is narrow.
 *
 * @param {string} caption
 * @param {Child[]} columns
 * @param {HTMLElement} rows
 * @param {string} [name]
 */
export function table(caption, columns, rows, name = "list") {
	const heads = columns.map((column) => el("th", { scope: "col" }, column));
	return el(
		"table",
		{ class: name },
		el("caption", { class: "visually-hidden" }, caption),
		el("thead", {}, el("tr", {}, heads)),
		rows,
	);
}

/**
 * A row; its first cell is its heading.
 *
 * @param {string[]} columns
 * @param {(Child | Child[])[]} cells
 */
table.row = (columns, [first, ...cells]) =>
	el(
		"tr",
		{},
		el("th", { scope: "row" }, first ?? null),
		cells.map((cell, index) => el("td", { "data-label": columns[index + 1] }, cell ?? null)),
	);

/**
 * Names and values; those without a value are left out.
 *
 * @param {[string, Child | Child[]][]} facts
 */
export function details(facts) {
	return el(
		"dl",
		{ class: "details" },
		facts.map(([name, value]) => value !== null && el("div", {}, el("dt", {}, name), el("dd", {}, value))),
	);
}

/**
 * The head of a screen.
 *
 * @param {Child} title
 * @param {Child | Child[]} under
 * @param {...Child} actions
 */
export function head(title, under, ...actions) {
	return el(
		"div",
		{ class: "head" },
		el("div", {}, el("h1", { tabindex: "-1" }, title), under && el("p", { class: "sub muted" }, under)),
		actions.some(Boolean) && el("div", { class: "actions" }, actions),
	);
}
