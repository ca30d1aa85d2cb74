/** The audit trail: who did what to which key, found by actor, action, target and day. */

import { exportButton } from "./csv.js";
import { el, nodes } from "./dom.js";
import { ACTIONS, differences, paged } from "./history.js";
import { failure, head, table } from "./parts.js";
import { href, note } from "./router.js";
import { agoExactly, DAY } from "./time.js";

const COLUMNS = ["Action", "Target", "By", "Time"];

/** @param {Context} ctx @param {URLSearchParams} query @returns {Promise<View>} */
export async function showAudit(ctx, query) {
	const place = el("div", { class: "results", "aria-live": "polite" });
	let asked = query;
	let wanted = 0;
	const search = async () => {
		wanted += 1;
		const mine = wanted;
		place.setAttribute("aria-busy", "true");
		const content = await results(ctx, asked).catch((error) => [failure(error, search)]);
		if (mine !== wanted) return;
		place.removeAttribute("aria-busy");
		place.replaceChildren(...nodes(content));
	};
	place.replaceChildren(...nodes(await results(ctx, query)));
	const form = filters(query, (changed) => {
		asked = changed;
		note(href(["audit"], changed));
		search();
	});
	const source = () => ({ path: "audit-events", query: asOfApi(asked) });
	const content = el(
		"div",
		{ class: "page" },
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

/**
 * The address has days, the API moments.
 *
 * @param {URLSearchParams} query
 */
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
	const list = await paged(ctx, "audit-events", asOfApi(query), rows, draw, "50");
	if (rows.childElementCount === 0) return [el("p", { class: "panel empty" }, "Nothing matches.")];
	return [table("Audit events, newest first", COLUMNS, rows), ...list.slice(1)];
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
	const actions = Object.entries(ACTIONS).map(([value, label]) =>
		el("option", { value, selected: value === query.get("action") }, label),
	);
	const form = el(
		"form",
		{ class: "filters labelled", role: "search", onchange: changed },
		el(
			"label",
			{},
			el("span", {}, "Action"),
			el("select", { name: "action" }, el("option", { value: "" }, "Any"), actions),
		),
		input("target", "Key or account", { placeholder: "Its id, such as key_…" }),
		input("actor", "By", { placeholder: "Such as key:key_…" }),
		input("from", "From", { type: "date" }),
		input("to", "To", { type: "date" }),
	);
	form.addEventListener("submit", (event) => event.preventDefault());
	return form;
}
