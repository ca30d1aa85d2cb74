/** What screens are made of: buttons, messages, and parts that are loaded by themselves. */

import { div, el, fill, p } from "./dom.js";
import { anew, NotLoaded } from "./later.js";
import { href } from "./router.js";

/**
 * A button that is busy while its action runs. What goes wrong then is an event `failed`.
 * @param {string} label @param {() => unknown} action @param {string} [look] Such as `small danger`.
 */
export function button(label, action, look = "") {
	const made = el("button", { type: "button", class: `button ${look}` }, label);
	made.addEventListener("click", async () => {
		if (made.getAttribute("aria-busy") === "true") return;
		made.setAttribute("aria-busy", "true");
		try {
			await action();
		} catch (error) {
			made.dispatchEvent(new CustomEvent("failed", { bubbles: true, detail: error }));
		}
		made.removeAttribute("aria-busy");
	});
	return made;
}

/** A button that copies a text, and says that it did. @param {() => string} text @param {string} what */
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

/** A message about what went wrong. @param {unknown} error @param {(() => void) | null} [retry] */
export function failure(error, retry = null) {
	const text = error instanceof Error ? error.message : String(error);
	const again = error instanceof NotLoaded ? button("Load the page again", anew, "small") : null;
	const way = again ?? (retry && button("Try again", retry, "small"));
	return el("div", { class: "notice bad", role: "alert" }, p("", text), way);
}

/** A part of a screen that is loaded by itself, and fails by itself. @param {() => Promise<Children>} load */
export function loaded(load) {
	const place = el("div", { class: "loaded", "aria-busy": "true" }, p("muted", "Loading…"));
	const run = async () => {
		place.setAttribute("aria-busy", "true");
		try {
			fill(place, await load());
		} catch (error) {
			if (/** @type {Error} */ (error).name !== "AbortError") place.replaceChildren(failure(error, run));
		}
		place.removeAttribute("aria-busy");
	};
	run();
	return place;
}

/**
 * What a search has found. Of several searches at the same time, the last is shown.
 * @param {Children[]} first
 */
export function found(first) {
	const place = el("div", { class: "results", "aria-live": "polite" }, ...first);
	let wanted = 0;
	/** @param {() => Promise<Children[]>} load */
	const show = async (load) => {
		wanted += 1;
		const mine = wanted;
		place.setAttribute("aria-busy", "true");
		/** @type {Children[]} */
		let content;
		try {
			content = await load();
		} catch (error) {
			if (/** @type {Error} */ (error).name === "AbortError") return;
			content = [failure(error, () => show(load))];
		}
		if (mine !== wanted) return;
		place.removeAttribute("aria-busy");
		fill(place, ...content);
	};
	return { place, show };
}

/**
 * A part of a screen under a heading, loaded by itself.
 * @param {Child} title @param {() => Promise<Children>} load
 */
export function part(title, load) {
	return panel(title, loaded(load));
}

/** A part of a screen under a heading. @param {Child} title @param {...Child} content */
export function panel(title, ...content) {
	return el("section", "panel", el("h2", {}, title), content);
}

/**
 * A link to a screen.
 * @param {string[]} path @param {Children} content @param {string} [look]
 * @param {URLSearchParams | Record<string, string>} [query]
 */
export function link(path, content, look, query) {
	return el("a", { class: look, href: href(path, query) }, content);
}

/** The way back to a screen. @param {...Node} links */
export function trail(...links) {
	return el("nav", { class: "trail", "aria-label": "Where you are" }, links);
}

/**
 * A table. Those of the class `list` become cards where it is narrow.
 * @param {string} caption @param {Child[]} columns @param {HTMLElement} rows @param {string} [name]
 */
export function table(caption, columns, rows, name = "list") {
	const heads = columns.map((column) =>
		el("th", { scope: "col", "data-label": typeof column === "string" && column }, column),
	);
	return el(
		"table",
		{ class: name },
		el("caption", "visually-hidden", caption),
		el("thead", {}, el("tr", {}, heads)),
		rows,
	);
}

/** A row; its first cell is its heading. @param {string[]} columns @param {Children[]} cells */
table.row = (columns, [first, ...cells]) =>
	el(
		"tr",
		{},
		el("th", { scope: "row" }, first ?? null),
		cells.map((cell, index) => el("td", { "data-label": columns[index + 1] }, cell ?? null)),
	);

/** Names and values; those without a value are left out. @param {[string, Children][]} facts */
export function details(facts) {
	return el(
		"dl",
		"details",
		facts.map(([name, value]) => value !== null && div("", el("dt", {}, name), el("dd", {}, value))),
	);
}

/** The head of a screen. @param {Children} title @param {Children} under @param {...Child} actions */
export function head(title, under, ...actions) {
	return div(
		"head",
		div("", el("h1", { tabindex: "-1" }, title), under && p("sub muted", under)),
		actions.some(Boolean) && div("actions", actions),
	);
}
