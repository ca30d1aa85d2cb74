/** What keys may do: the catalog in groups, and what a caller may pass on. */

import { el } from "./dom.js";

/** The resource of the scopes that manage keys. */
const MANAGEMENT = "keys";

/** Does one of the grants, such as `files:*`, cover a scope? @param {string[]} grants @param {string} scope */
export function covers(grants, scope) {
	const [resource] = scope.split(":");
	return grants.some((grant) => grant === "*" || grant === scope || (scope.includes(":") && grant === `${resource}:*`));
}

/** May the caller do this? Wildcards and roles count. @param {Caller} caller @param {string} scope */
export function can(caller, scope) {
	return covers(caller.scopes, scope);
}

/**
 * Says why the caller may not pass on a grant, or null if they may.
 * @param {Caller} caller @param {string} grant @param {Role[]} roles
 */
export function whyNot(caller, grant, roles) {
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
export function grouped(scopes) {
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
export function reads(scope) {
	return /:(read|list|get|view)$/.test(scope);
}

/** A key's scopes, the first few of them. @param {string[]} scopes @param {number} most */
export function scopeList(scopes, most = Infinity) {
	if (scopes.length === 0) return el("span", "muted", "None");
	const all = scopes.map(scopeName);
	const shown = scopes.length > most + 1 ? all.slice(0, most) : all;
	const left = scopes.slice(shown.length);
	return el(
		"span",
		"scopes",
		shown,
		left.length > 0 && el("span", { class: "muted", title: left.join(", ") }, `and ${left.length} more`),
	);
}

/** @param {string} scope */
function scopeName(scope) {
	return el("code", "scope", scope === "*" ? "* everything" : scope);
}
