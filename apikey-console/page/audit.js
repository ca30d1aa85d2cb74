/** The audit trail: who did what to which key, found by actor, action, target and day. */

import { exportButton, listed } from "./csv.js";
import { div, el, p } from "./dom.js";
import { choice } from "./form.js";
import { ACTIONS, differences, paged } from "./history.js";
import { found, head, table } from "./parts.js";
import { href, note } from "./router.js";
import { agoExactly, DAY } from "./time.js";

const COLUMNS = ["Action", "Target", "By", "Time"];

/** @param {Context} ctx @param {URLSearchParams} query */
export async function showAudit(ctx, query) {
	let asked = query;
	const { place, show } = found(await results(ctx, query));
	const form = filters(query, (changed) => {
		asked = changed;
		note(href(["audit"], changed));
		show(() => results(ctx, changed));
	});
	const source = () => listed(ctx, "audit-events", asOfApi(asked));
	const content = div(
		"page",
		head(
			"Audit trail",
			"Who did what to which key, newest first.",
			exportButton(ctx, "audit trail", source, [
				["Time", ({ at }) => at],
				["Action", ({ action }) => action],
				["Target", ({ target }) => target],
				["By", ({ actor }) => actor],
				["Request id", ({ request_id }) => request_id],
				["Before", ({ before }) => before && JSON.stringify(before)],
				["After", ({ after }) => after && JSON.stringify(after)],
			]),
		),
		form,
		place,
	);
	return { title: "Audit trail", content: [content] };
}

/** The address has days, the API moments. @param {URLSearchParams} query */
function asOfApi(query) {
	const { from, to, ...rest } = Object.fromEntries(query);
	/** @param {string | undefined} day @param {number} days */
	const moment = (day, days) => {
		const start = new Date(`${day}T00:00:00`);
		return day && !Number.isNaN(start.getTime()) ? new Date(start.getTime() + days * DAY * 1_000).toISOString() : "";
	};
	return { ...rest, from: moment(from, 0), to: moment(to, 1) };
}

/** @param {Context} ctx @param {URLSearchParams} query */
async function results(ctx, query) {
	const rows = el("tbody", {});
	const draw = (/** @type {AuditEvent} */ event) =>
		table.row(COLUMNS, [
			[el("strong", {}, ACTIONS[event.action] ?? event.action), differences(event)],
			ctx.people.target(event.target),
			ctx.people.actor(event.actor),
			agoExactly(event.at),
		]);
	const more = await paged(ctx, "audit-events", asOfApi(query), rows, draw, "50");
	if (rows.childElementCount === 0) return [p("panel empty", "Nothing matches.")];
	return [table("Audit events, newest first", COLUMNS, rows), more];
}

/** @param {URLSearchParams} query @param {(changed: URLSearchParams) => void} search */
function filters(query, search) {
	const changed = () => {
		const values = [...new FormData(form)].map(([name, value]) => [name, String(value).trim()]);
		search(new URLSearchParams(values.filter(([, value]) => value)));
	};
	/** @param {string} name @param {string} label @param {Record<string, unknown>} more */
	const input = (name, label, more) =>
		el(
			"label",
			{},
			el("span", {}, label),
			el("input", { name, value: query.get(name) ?? "", autocomplete: "off", ...more }),
		);
	const actions = choice([["", "Any"], ...Object.entries(ACTIONS)], query.get("action"), { name: "action" });
	const form = el(
		"form",
		{ class: "filters labelled", role: "search", onchange: changed },
		el("label", {}, el("span", {}, "Action"), actions),
		input("target", "Key or account", { placeholder: "Its id, such as key_…" }),
		input("actor", "By", { placeholder: "Such as key:key_…" }),
		input("from", "From", { type: "date" }),
		input("to", "To", { type: "date" }),
	);
	form.addEventListener("submit", (event) => event.preventDefault());
	return form;
}
