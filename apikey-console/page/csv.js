/** Tables as CSV, read from the API page by page: to copy, to save and to print. */

import { tell } from "./dialog.js";
import { div, el, fill, p } from "./dom.js";
import { button, copyButton, failure, table } from "./parts.js";

/**
 * Rows as CSV (RFC 4180). Spreadsheets calculate what begins as a formula does, so that is set off by an apostrophe.
 * @param {unknown[][]} rows
 */
export function toCsv(rows) {
	return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** @param {unknown} value */
function cell(value) {
	const text = String(value ?? "");
	const safe = typeof value === "string" && /^\s*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
	return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A button that saves a text as a file. @param {string} label @param {string} name @param {() => string} text */
export function saveButton(label, name, text) {
	const save = () => {
		const address = URL.createObjectURL(new Blob([text()], { type: "text/csv;charset=utf-8" }));
		el("a", { href: address, download: name }).click();
		URL.revokeObjectURL(address);
	};
	return button(label, save, "small");
}

/**
 * The pages of a list of the API.
 * @param {Context} ctx @param {string} path @param {Record<string, string>} query @returns {Pages<any>}
 */
export function listed(ctx, path, query) {
	return (cursor, signal) => ctx.call("GET", path, { query: { ...query, cursor, limit: "200" }, signal });
}

/**
 * A button that exports a list.
 * @template T @param {Context} ctx @param {string} name Of the file. @param {() => Pages<T>} source
 * @param {[string, (item: T) => unknown][]} columns @param {string} [about]
 */
export function exportButton(ctx, name, source, columns, about) {
	return button("Export…", () => exportAll(ctx, name, source(), columns, about));
}

/**
 * Reads pages to their end, and offers them as CSV and as a table to print.
 * @template T @param {Context} ctx @param {string} name @param {Pages<T>} pages
 * @param {[string, (item: T) => unknown][]} columns @param {string} [about]
 */
export function exportAll(ctx, name, pages, columns, about) {
	const stop = new AbortController();
	const place = el("div", { class: "form", "aria-live": "polite" });
	tell(ctx, "Export", [place], () => stop.abort());
	/** @type {T[]} */
	const items = [];
	let cursor = "";
	const read = async () => {
		try {
			do {
				place.replaceChildren(
					p("", `${items.length.toLocaleString("en")} read…`),
					el("progress", { "aria-label": "Reading" }),
				);
				const page = await pages(cursor, stop.signal);
				for (const item of page.items) items.push(item);
				cursor = page.next_cursor ?? "";
			} while (cursor);
			fill(place, about && p("", about), offered(ctx, name, columns, items));
		} catch (error) {
			if (!stop.signal.aborted) place.replaceChildren(failure(error, read));
		}
	};
	read();
}

/**
 * @template T @param {Context} ctx @param {string} name @param {[string, (item: T) => unknown][]} columns
 * @param {T[]} items
 */
function offered(ctx, name, columns, items) {
	const names = columns.map(([label]) => label);
	const values = () => items.map((item) => columns.map(([, value]) => value(item)));
	const csv = () => toCsv([names, ...values()]);
	const print = () => {
		const rows = values().map((row) =>
			table.row(
				names,
				row.map((value) => String(value ?? "")),
			),
		);
		const sheet = div("sheet", el("h1", {}, name), table(name, names, el("tbody", {}, rows), "plain"));
		ctx.root.append(sheet);
		window.print();
		sheet.remove();
	};
	return [
		p("", `${items.length.toLocaleString("en")} rows.`),
		div(
			"actions",
			copyButton(csv, "as CSV"),
			saveButton("Save as CSV", `${name}.csv`, csv),
			button("Print", print, "small"),
		),
	];
}
