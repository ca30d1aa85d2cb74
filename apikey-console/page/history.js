/** What was done to a key, and what was done with it. */

import { div, el, fill, p, theirs } from "./dom.js";
import { button, failure, table } from "./parts.js";
import { ago } from "./time.js";
import { shown } from "./words.js";

const PAGE = "10";

/** @type {Record<string, string>} */
export const ACTIONS = {
	"key.issued": "Created",
	"key.duplicated": "Duplicated",
	"key.imported": "Imported",
	"key.rotated": "Rotated",
	"key.overlap_ended": "Old secret ended",
	"key.secret_ended": "A secret ended",
	"key.updated": "Changed",
	"key.disabled": "Disabled",
	"key.enabled": "Enabled",
	"key.revoked": "Revoked",
	"key.deleted": "Deleted",
	"service_account.created": "Created account",
	"service_account.updated": "Changed account",
	"service_account.disabled": "Disabled account",
	"service_account.enabled": "Enabled account",
	"service_account.deleted": "Deleted account",
	"alert_settings.updated": "Changed alert settings",
	"webhook.created": "Created webhook",
	"webhook.updated": "Changed webhook",
	"webhook.secret_rotated": "Rotated webhook's secret",
	"webhook.deleted": "Deleted webhook",
	"organization.suspended": "Suspended organization",
	"organization.resumed": "Resumed organization",
};

/** The audit trail of a key or a service account. @param {Context} ctx @param {string} target */
export async function audit(ctx, target) {
	const list = el("ol", "history");
	const more = await paged(ctx, "audit-events", { target }, list, (event) =>
		el(
			"li",
			{},
			el("strong", {}, ACTIONS[event.action] ?? event.action),
			" by ",
			ctx.people.actor(event.actor),
			" ",
			el("span", "muted", ago(event.at)),
			differences(event),
		),
	);
	return [list, more];
}

/** The requests of a key, where the service keeps them. @param {Context} ctx @param {string} path The key's. */
export async function requests(ctx, path) {
	const rows = el("tbody", {});
	const columns = ["Time", "Request", "Answer", "From"];
	const more = await paged(ctx, `${path}/activity`, {}, rows, (request) =>
		table.row(columns, [ago(request.at), asked(request), request.status, from(request)]),
	);
	if (rows.childElementCount === 0)
		return p("muted", "None. Requests are listed one by one where the service keeps a record of them.");
	return [
		el(
			"div",
			{ class: "scroll", tabindex: "0", role: "region", "aria-label": "Recent requests" },
			table("Recent requests", columns, rows, "plain"),
		),
		more,
	];
}

/** @param {Activity} request */
export function asked({ method, route }) {
	return el("code", {}, method, " ", route ?? "");
}

/** @param {Activity} request */
export function from({ address, user_agent }) {
	return theirs([address, user_agent].filter(Boolean).join(" · "));
}

/**
 * A list that grows by a page at a time.
 * @template {string} P @param {Context} ctx @param {P} path @param {Record<string, string>} query
 * @param {HTMLElement} list @param {(item: Listed<P>) => Node} draw @param {string} [limit]
 */
export async function paged(ctx, path, query, list, draw, limit = PAGE) {
	let cursor = "";
	const place = div("");
	const more = async () => {
		const page = await ctx.call("GET", /** @type {string} */ (path), { query: { ...query, cursor, limit } });
		if (path === "api-keys") ctx.people.know(page.items);
		list.append(...page.items.map(draw));
		cursor = page.next_cursor ?? "";
		fill(place, cursor && button("Show older", older, "small"));
	};
	const older = () => more().catch((error) => place.replaceChildren(failure(error, older)));
	await more();
	return place;
}

/** What an action changed, as far as it says anything to a reader. @param {AuditEvent} event */
export function differences({ action, before, after }) {
	const reason = after?.reason;
	if (action === "key.revoked" && reason) return p("muted", "Reason: ", theirs(String(reason)));
	if (!before || !after || action !== "key.updated") return null;
	const names = Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
	return el(
		"ul",
		"differences",
		names.map((name) =>
			el(
				"li",
				{},
				el("span", {}, name.replaceAll("_", " ")),
				": ",
				el("del", {}, theirs(shown(before[name]))),
				" → ",
				el("ins", {}, theirs(shown(after[name]))),
			),
		),
	);
}
