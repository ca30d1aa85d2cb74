/** The fields of a key, for creating and editing, and each error of the API at its field. */

import { Problem } from "./api.js";
import { div, el, p, uniqueId } from "./dom.js";
import { button } from "./parts.js";
import { grouped, reads, whyNot } from "./scopes.js";
import { DAY, exactly, span } from "./time.js";

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

/** @param {string} text */
function capitalized(text) {
	return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** Name and description. @param {{name: string, description: string}} values @param {string} [hint] */
export function texts(
	{ name, description },
	hint = "What uses the key, such as “CI of the website”. One key for each program and place.",
) {
	const nameField = el("input", {
		type: "text",
		value: name,
		autocomplete: "off",
		maxlength: 100,
		required: true,
		class: "first",
	});
	const descriptionField = el("textarea", { rows: 2, value: description });
	return {
		nodes: [field("name", "Name", nameField, hint), field("description", "Description (optional)", descriptionField)],
		value: () => ({ name: nameField.value.trim(), description: descriptionField.value.trim() }),
	};
}

/**
 * When the key ends. `undefined` leaves it to the plan.
 * @param {Caller} caller @param {Limits} limits
 * @param {string | null | undefined} now What it is so far; undefined for a new key.
 * @param {string} [wanted] Of an address, such as `30d`.
 */
export function expiry(caller, limits, now, wanted) {
	const longest = Math.min(
		limits.longest_lifetime_seconds ?? Infinity,
		caller.expires_at ? (Date.parse(caller.expires_at) - Date.now()) / 1_000 : Infinity,
	);
	const mayBeNone = !limits.expiry_required && longest === Infinity;
	/** @type {string[][]} */
	const options = [];
	if (now !== undefined) options.push(["keep", now ? `Unchanged: ${exactly(now)}` : "Unchanged: no expiry"]);
	for (const days of [7, 30, 90, 365]) {
		if (days * DAY <= longest) options.push([`${days}d`, span(days * DAY)]);
	}
	options.push(["date", "On a date…"]);
	if (mayBeNone && now !== null) options.push(["never", "No expiry"]);
	const usual = now !== undefined ? "keep" : "90d";
	const chosen = [wanted, usual, "30d", "7d", "date"].find((value) => options.some(([option]) => option === value));
	const select = choice(options, chosen);
	const date = el("input", { type: "datetime-local", "aria-label": "Expires on", hidden: true });
	const hint = el("span", {});
	const end = () => {
		const days = /^(\d+)d$/.exec(select.value);
		if (days) return new Date(Date.now() + Number(days[1]) * DAY * 1_000).toISOString();
		if (select.value === "date") return date.value ? new Date(date.value).toISOString() : "";
		return select.value === "never" ? null : undefined;
	};
	const explain = () => {
		date.hidden = select.value !== "date";
		const at = end();
		const bound = longest === Infinity ? "" : ` It can't be later than ${exactly(Date.now() + longest * 1_000)}.`;
		if (select.value === "never")
			hint.textContent = "The key is accepted until it is revoked. Rotate it from time to time.";
		else if (at) hint.textContent = `Not accepted from ${exactly(at)} on.${bound}`;
		else hint.textContent = select.value === "date" ? `Choose a day and a time.${bound}` : "";
	};
	select.addEventListener("change", explain);
	date.addEventListener("input", explain);
	explain();
	const made = field("expires_at", "Expires", select, hint);
	select.after(date);
	return { node: made, value: end };
}

/**
 * The choice of scopes: none at first, by resource; what can't be granted says why.
 * @param {Caller} caller @param {ScopeCatalog} catalog @param {string[]} chosen
 */
export function scopeChoice(caller, catalog, chosen) {
	/** @type {HTMLInputElement[]} */
	const boxes = [];
	/** @param {string} name @param {Child} description */
	const scope = (name, description) => {
		const why = whyNot(caller, name, catalog.roles);
		const id = uniqueId("scope");
		const isChosen = chosen.includes(name);
		const box = el("input", {
			type: "checkbox",
			value: name,
			checked: isChosen,
			disabled: why !== null && !isChosen,
			"aria-describedby": id,
		});
		boxes.push(box);
		return el(
			"label",
			"choice",
			box,
			el("code", {}, name),
			el("span", { class: "about", id }, description, why && el("span", "why", why)),
		);
	};
	const listed = new Set([...catalog.items, ...catalog.roles].map(({ name }) => name));
	const others = chosen.filter((name) => !listed.has(name));
	const groups = [
		...grouped(catalog.items).map(([resource, scopes]) => ({
			title: resource === "keys" ? "API keys" : capitalized(resource || "general"),
			choices: scopes.map(({ name, description }) => scope(name, description)),
		})),
		{
			title: "Roles",
			choices: catalog.roles.map(({ name, grants }) => scope(name, `Includes ${grants.join(", ")}.`)),
		},
		{
			title: "Wildcards",
			choices: others.map((name) =>
				scope(
					name,
					name === "*" ? "Everything, also what is added later." : "All of this resource, also what is added later.",
				),
			),
		},
	].filter(({ choices }) => choices.length > 0);
	const count = el("p", { class: "hint", "aria-live": "polite" });
	const value = () => boxes.filter((box) => box.checked).map((box) => box.value);
	const tell = () => {
		const chosenNow = value().length;
		count.textContent =
			chosenNow === 0
				? "None chosen. A key without scopes is accepted, and may do nothing that needs one."
				: `${chosenNow} chosen.`;
	};
	/** @param {string} label @param {(name: string) => boolean} wanted */
	const preset = (label, wanted) => {
		const choose = () => {
			const names = new Set(catalog.items.map(({ name }) => name));
			for (const box of boxes) box.checked = !box.disabled && names.has(box.value) && wanted(box.value);
			tell();
		};
		return button(label, choose, "small");
	};
	const node = group(
		"scopes",
		"Scopes",
		p("hint", "What the key may do. Choose only what the program needs."),
		div(
			"presets",
			preset("Read only", (name) => reads(name) && !name.startsWith("keys:")),
			preset("Everything", () => true),
			preset("None", () => false),
		),
		div(
			"choices",
			groups.map(({ title, choices }) => {
				const id = uniqueId("group");
				return el("div", { role: "group", "aria-labelledby": id }, el("p", { id, class: "title" }, title), choices);
			}),
		),
		count,
	);
	node.addEventListener("change", tell);
	tell();
	return { node, value };
}
