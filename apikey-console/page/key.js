/** One key: everything that the service knows of it, and what can be done with it. */

import { openOf } from "./alert-list.js";
import { div, el, p, theirs } from "./dom.js";
import { audit, requests } from "./history.js";
import { button, copyButton, details, head, link, loaded, panel, part, trail } from "./parts.js";
import { remove, revoke } from "./revoke.js";
import { rotate, secrets } from "./rotate.js";
import { go, href } from "./router.js";
import { can, covers, withoutScopes } from "./scopes.js";
import { showSecret } from "./secret.js";
import { agoExactly, exactly, lastUsed } from "./time.js";
import { usage } from "./usage.js";
import { badge, isOver } from "./words.js";

/** @param {Context} ctx @param {string} id */
export async function showKey(ctx, id) {
	const path = `api-keys/${encodeURIComponent(id)}`;
	const [key, catalog, alerts] = await Promise.all([ctx.call("GET", path), ctx.call("GET", "scopes"), openOf(ctx, id)]);
	ctx.people.know([key]);
	const mayChange = can(ctx.caller, "keys:write");
	const content = div(
		"page",
		trail(link(["keys"], "API keys")),
		head(
			theirs(key.name),
			[badge(key.status), el("code", {}, key.hint), key.environment && el("span", "tag", key.environment)],
			mayChange && actions(ctx, key),
		),
		key.description && p("description", theirs(key.description)),
		state(ctx, key),
		alerts,
		div(
			"columns",
			div(
				"main",
				part("Usage", () => usage(ctx, `${path}/usage`)),
				!isOver(key) && panel("Secrets", secrets(ctx, key, mayChange)),
				panel(
					"Recent requests",
					loaded(() => requests(ctx, path)),
					link(["keys", id, "trace"], "What it did, from where, and what it changed", "more"),
				),
				panel(
					"History",
					loaded(() => audit(ctx, id)),
					link(["audit"], "What it did to other keys", "more", { actor: `key:${id}` }),
				),
			),
			el(
				"aside",
				{ "aria-label": "Details" },
				panel("Details", facts(ctx, key)),
				panel("Scopes", scopes(key, catalog)),
			),
		),
	);
	return { title: key.name, content: [content] };
}

/** What stands out in the key's state, and what to do about it. @param {Context} ctx @param {ApiKey} key */
function state(ctx, key) {
	if (key.revoked_at) {
		return p(
			"notice bad",
			"Revoked on ",
			exactly(key.revoked_at),
			" by ",
			ctx.people.actor(key.revoked_by ?? ""),
			key.revoked_reason && [": ", theirs(key.revoked_reason)],
			". It is refused for good.",
		);
	}
	if (key.disabled_at) {
		return p(
			"notice warn",
			"Disabled on ",
			exactly(key.disabled_at),
			" by ",
			ctx.people.actor(key.disabled_by ?? ""),
			". It is refused until somebody enables it.",
		);
	}
	if (key.status === "expired")
		return p("notice", "Expired. Edit the key to give it a later end, or create a new one.");
	if (key.status === "not_yet_valid") return p("notice", "Refused until ", exactly(key.not_before ?? ""), ".");
	if (key.status === "rotating")
		return p("notice", "Two secrets are accepted. End the old one as soon as nothing uses it any more.");
	return null;
}

/** @param {Context} ctx @param {ApiKey} key */
function actions(ctx, key) {
	const path = `api-keys/${key.id}`;
	/** @param {string} verb @param {string} done */
	const change = (verb, done) => async () => {
		ctx.say(done, await ctx.call("POST", `${path}/${verb}`));
		await ctx.reload();
	};
	const duplicate = async () => {
		const made = await ctx.call("POST", `${path}/duplicate`);
		await showSecret(ctx, made, "Key duplicated");
		go(href(["keys", made.key.id]));
	};
	if (isOver(key)) {
		const alike = new URLSearchParams([["name", key.name], ...key.scopes.map((scope) => ["scope", scope])]);
		return div(
			"actions",
			link(["keys", "new"], "Create another", "button", alike),
			button("Delete…", () => remove(ctx, key), "danger"),
		);
	}
	const isLive = key.status !== "expired" && !key.disabled_at;
	return div(
		"actions",
		isLive && button("Rotate…", () => rotate(ctx, key)),
		link(["keys", key.id, "edit"], "Edit", "button"),
		button("Duplicate", duplicate),
		key.disabled_at
			? button("Enable", change("enable", "The key was enabled."))
			: button("Disable", change("disable", "The key was disabled. Enable it to let it in again.")),
		button("Revoke…", () => revoke(ctx, key), "danger"),
	);
}

/** @param {Context} ctx @param {ApiKey} key */
function facts(ctx, key) {
	/** @type {[string, Children][]} */
	const known = [
		["Id", [el("code", {}, key.id), copyButton(() => key.id, "the id")]],
		["Owner", ctx.people.owner(key)],
		["Environment", key.environment ?? null],
		["Created", [agoExactly(key.created_at), " by ", ctx.people.actor(key.created_by)]],
		["Accepted from", key.not_before ? agoExactly(key.not_before) : null],
		["Expires", key.expires_at ? agoExactly(key.expires_at) : "Never"],
		["Last used", key.last_used_at ? agoExactly(key.last_used_at) : lastUsed(null)],
		["Notes", Object.keys(key.metadata).length > 0 ? el("pre", "notes", JSON.stringify(key.metadata, null, 2)) : null],
	];
	return details(known);
}

/** @param {ApiKey} key @param {ScopeCatalog} catalog */
function scopes(key, catalog) {
	if (key.scopes.length === 0) return p("muted", `None. ${withoutScopes(catalog.items)}`);
	return el(
		"ul",
		"granted",
		key.scopes.map((name) => {
			const known = catalog.items.find((scope) => scope.name === name);
			const role = catalog.roles.find((one) => one.name === name);
			const includes = catalog.items.filter((scope) => covers([name], scope.name)).length;
			const about =
				known?.description ??
				(role
					? `Includes ${role.grants.join(", ")}.`
					: `Everything it covers: ${includes} scopes now, and what is added later.`);
			return el("li", {}, el("code", "scope", name), el("span", "muted", about));
		}),
	);
}
