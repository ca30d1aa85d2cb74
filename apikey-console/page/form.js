/** Forms: fields and choices, and each error of the API at its field. */

import { Problem } from "./api.js";
import { div, el, uniqueId } from "./dom.js";

/**
 * A field with its label, its hint, and room for its error.
 * @param {string} name As the API calls it. @param {string} label
 * @param {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} control @param {string | Node} [hint]
 */
export function field(name, label, control, hint) {
	const id = uniqueId(name);
	control.id = id;
	control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
	return el(
		"div",
		{ class: "field", "data-field": name },
		el("label", { for: id }, label),
		control,
		el("p", { class: "hint", id: `${id}-hint` }, hint ?? null),
		el("p", { class: "error", id: `${id}-error` }),
	);
}

/**
 * A choice of one of several values.
 * @param {string[][]} options Values, and what they are called. @param {string | null | undefined} chosen
 * @param {Record<string, unknown>} [attributes]
 */
export function choice(options, chosen, attributes = {}) {
	return el(
		"select",
		attributes,
		options.map(([value, label]) => el("option", { value, selected: value === chosen }, label)),
	);
}

/** Several controls under one legend. @param {string} name @param {string} legend @param {...Child} content */
export function group(name, legend, ...content) {
	const id = uniqueId(name);
	return el(
		"fieldset",
		{ class: "field", "data-field": name, "aria-describedby": `${id}-error` },
		el("legend", {}, legend),
		content,
		el("p", { class: "error", id: `${id}-error` }),
	);
}

/**
 * Shows an error of the API at the fields that it names, and what it says otherwise above the buttons.
 * @param {HTMLFormElement} form @param {unknown} error
 */
function showErrors(form, error) {
	clearErrors(form);
	const rest = /** @type {string[]} */ ([]);
	const errors = error instanceof Problem ? error.errors : [];
	for (const { field: name, message } of errors) {
		const place = form.querySelector(`[data-field="${CSS.escape(name.replace(/[[.].*$/s, ""))}"]`);
		const text = place?.querySelector(".error");
		if (!place || !text) {
			rest.push(`${name}: ${message}`);
			continue;
		}
		text.textContent = [text.textContent, sentence(message)].filter(Boolean).join(" ");
		place.classList.add("invalid");
		for (const control of place.querySelectorAll("input, select, textarea"))
			control.setAttribute("aria-invalid", "true");
	}
	if (errors.length === 0) rest.push(error instanceof Error ? error.message : String(error));
	const summary = form.querySelector(".form-error");
	if (summary) summary.textContent = rest.join(" ") || "Some fields need your attention.";
	const first = form.querySelector(".invalid input:not(:disabled), .invalid select, .invalid textarea");
	/** @type {HTMLElement | null} */ (first)?.focus();
}

/** @param {HTMLFormElement} form */
function clearErrors(form) {
	for (const text of form.querySelectorAll(".error, .form-error")) text.textContent = "";
	for (const place of form.querySelectorAll(".invalid")) place.classList.remove("invalid");
	for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

/**
 * A form: its fields, room for what goes wrong, a button that does `action` once at a time, and a way out.
 * @param {Child[]} content @param {string} label @param {(form: HTMLFormElement) => Promise<unknown>} action
 * @param {Child} cancel @param {{tone?: string, look?: string}} [options]
 */
export function formOf(content, label, action, cancel, { tone = "primary", look = "form" } = {}) {
	const submit = el("button", { class: `button ${tone}`, type: "submit" }, label);
	const form = el(
		"form",
		{ class: look, novalidate: true },
		content,
		el("p", { class: "form-error", role: "alert" }),
		div("actions", submit, cancel),
	);
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		if (submit.getAttribute("aria-busy") === "true") return;
		clearErrors(form);
		submit.setAttribute("aria-busy", "true");
		try {
			await action(form);
		} catch (error) {
			showErrors(form, error);
		}
		submit.removeAttribute("aria-busy");
	});
	return form;
}

/** @param {string} message */
function sentence(message) {
	return `${capitalized(message)}.`;
}

/** A text with a capital at its start. @param {string} text */
export function capitalized(text) {
	return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
