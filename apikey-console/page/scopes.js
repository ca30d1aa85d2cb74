/** What keys may do: which scopes cover which, and how a list of them is shown. */

import { el } from "./dom.js";

/** The resource of the scopes that manage keys. */
export const MANAGEMENT = "keys";

/** Does one of the grants, such as `files:*`, cover a scope? @param {string[]} grants @param {string} scope */
export function covers(grants, scope) {
	const [resource] = scope.split(":");
	return grants.some((grant) => grant === "*" || grant === scope || (scope.includes(":") && grant === `${resource}:*`));
}

/** May the caller do this? Wildcards and roles count. @param {Caller} caller @param {string} scope */
export function can(caller, scope) {
	return covers(caller.scopes, scope);
}

/** Does the service have scopes of its own? @param {ScopeCatalog} catalog */
export function hasScopes({ items, roles }) {
	return roles.length > 0 || items.some(({ name }) => !name.startsWith(`${MANAGEMENT}:`));
}

/** Says what a key without scopes may do. @param {Scope[]} scopes Those that there are. */
export function withoutScopes(scopes) {
	const isPlain = scopes.every(({ name }) => name.startsWith(`${MANAGEMENT}:`));
	return isPlain
		? "Here only managing keys needs a scope."
		: "A key without scopes is accepted, and may do nothing that needs one.";
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
