/** The fields of a key, for creating and editing: its texts, its end, and the scopes that a caller may pass on. */

import { div, el, p, uniqueId } from "./dom.js";
import { capitalized, choice, field, group } from "./form.js";
import { button } from "./parts.js";
import { can, covers, hasScopes, MANAGEMENT, withoutScopes } from "./scopes.js";
import { DAY, exactly, span } from "./time.js";

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
	if (!hasScopes(catalog) && chosen.length === 0 && !can(caller, "keys:admin")) return { node: null, value: () => [] };
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
		count.textContent = chosenNow === 0 ? `None chosen. ${withoutScopes(catalog.items)}` : `${chosenNow} chosen.`;
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

/**
 * Says why the caller may not pass on a grant, or null if they may.
 * @param {Caller} caller @param {string} grant @param {Role[]} roles
 */
function whyNot(caller, grant, roles) {
	const role = roles.find(({ name }) => name === grant);
	const grants = role ? role.grants : [grant];
	const beyond = grants.find((one) => !covers(caller.scopes, one));
	if (beyond) return role ? `Your key lacks ${beyond}, which this role includes.` : "Your key lacks this scope.";
	const manages = grants.some((one) => one === "*" || one.split(":")[0] === MANAGEMENT);
	return manages && !can(caller, "keys:admin") ? "Only keys with keys:admin may grant this." : null;
}

/**
 * The catalog by resource; the scopes that manage keys come last.
 * @param {Scope[]} scopes @returns {[string, Scope[]][]}
 */
function grouped(scopes) {
	/** @type {Map<string, Scope[]>} */
	const groups = new Map();
	for (const scope of scopes) {
		const resource = scope.name.includes(":") ? String(scope.name.split(":")[0]) : "";
		groups.set(resource, [...(groups.get(resource) ?? []), scope]);
	}
	const place = (/** @type {string} */ resource) => (resource === MANAGEMENT ? 2 : resource === "" ? 1 : 0);
	return [...groups].sort(([a], [b]) => place(a) - place(b) || a.localeCompare(b));
}

/** Does a scope only read? @param {string} scope */
function reads(scope) {
	return /:(read|list|get|view)$/.test(scope);
}
