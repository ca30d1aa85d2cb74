/** What a key did in a span of time, from where, and what it changed: the question after a leak. */

import { exportButton, listed } from "./csv.js";
import { div, el, p, theirs } from "./dom.js";
import { ACTIONS, asked, from } from "./history.js";
import { found, head, link, table, trail } from "./parts.js";
import { href, note } from "./router.js";
import { precisely } from "./time.js";

/** So many requests are read, the newest. */
const MOST = 2_000;

/** @type {[string, (request: Activity) => unknown][]} */
const EXPORTED = [
	["Time", ({ at }) => at],
	["Method", ({ method }) => method],
	["Route", ({ route }) => route],
	["Status", ({ status }) => status],
	["Address", ({ address }) => address],
	["User agent", ({ user_agent }) => user_agent],
];

/** @param {Context} ctx @param {string} id @param {URLSearchParams} query */
export async function showTrace(ctx, id, query) {
	const path = `api-keys/${encodeURIComponent(id)}/activity`;
	let span = asOfApi(query);
	const [known, first] = await Promise.all([ctx.people.name(id), results(ctx, id, span)]);
	const { place, show } = found(first);
	/** @param {string} name @param {string} label */
	const field = (name, label) => {
		const value = query.get(name) ?? "";
		return el("label", {}, el("span", {}, label), el("input", { type: "datetime-local", step: "1", name, value }));
	};
	const search = () => {
		const chosen = [...new FormData(form)].map(([name, value]) => [name, String(value)]);
		const changed = new URLSearchParams(chosen.filter(([, value]) => value));
		note(href(["keys", id, "trace"], changed));
		span = asOfApi(changed);
		show(() => results(ctx, id, span));
	};
	const form = el(
		"form",
		{ class: "filters labelled", role: "search", onchange: search },
		field("from", "From"),
		field("to", "To"),
	);
	form.addEventListener("submit", (event) => event.preventDefault());
	const name = known ?? id;
	const content = div(
		"page",
		trail(link(["keys"], "API keys"), link(["keys", id], theirs(name))),
		head(
			["What ", theirs(name), " did"],
			"Choose the time in which others may have had the key.",
			exportButton(ctx, "requests", () => listed(ctx, path, span), EXPORTED),
		),
		form,
		place,
	);
	return { title: `What ${name} did`, content: [content] };
}

/** The address has the reader's time, the API moments. @param {URLSearchParams} query */
function asOfApi(query) {
	/** @param {string} name */
	const moment = (name) => {
		const at = new Date(query.get(name) ?? "");
		return Number.isNaN(at.getTime()) ? "" : at.toISOString();
	};
	return { from: moment("from"), to: moment("to") };
}

/** @param {Context} ctx @param {string} id @param {Record<string, string>} span */
async function results(ctx, id, span) {
	const [requests, events] = await Promise.all([
		newest(ctx, /** @type {"activity"} */ (`api-keys/${encodeURIComponent(id)}/activity`), span),
		newest(ctx, "audit-events", { actor: `key:${id}`, ...span }),
	]);
	const changes = requests.filter(isChange);
	const others = requests.filter((request) => !isChange(request));
	const isWhole = requests.length < MOST && events.length < MOST;
	const content = div(
		"page",
		isWhole ? null : p("notice warn", `There may be more than these ${MOST}. Choose a shorter time to see the rest.`),
		section(
			"From where",
			["From", "Requests", "Changes", "First", "Last"],
			alike(requests, ({ address, user_agent }) => [address, user_agent]).map(([last, ...rest]) => [
				from(last),
				rest.length + 1,
				[last, ...rest].filter(isChange).length,
				precisely((rest.at(-1) ?? last).at),
				precisely(last.at),
			]),
			"No requests are recorded in this time. The service may keep no record of them.",
		),
		section(
			"What it changed",
			["Request", "Answer", "From", "Time"],
			changes.map((request) => [asked(request), request.status, from(request), precisely(request.at)]),
		),
		section(
			"Which keys and accounts it changed",
			["Action", "Target", "Time"],
			events.map(({ action, target, at }) => [ACTIONS[action] ?? action, ctx.people.target(target), precisely(at)]),
		),
		section(
			"What else it asked for",
			["Request", "Answer", "Requests"],
			alike(others, ({ method, route, status }) => [method, route, status]).map(([one, ...rest]) => [
				asked(one),
				one.status,
				rest.length + 1,
			]),
		),
	);
	return [content];
}

/**
 * Reads a list, newest first.
 * @template {string} P @param {Context} ctx @param {P} path @param {Record<string, string>} query
 */
async function newest(ctx, path, query) {
	/** @type {Listed<P>[]} */
	const items = [];
	let cursor = "";
	do {
		const page = await ctx.call("GET", /** @type {string} */ (path), { query: { ...query, cursor, limit: "200" } });
		items.push(...page.items);
		cursor = page.next_cursor ?? "";
	} while (cursor && items.length < MOST);
	return items;
}

/** Did it change anything? An abandoned request (499) or an error of the service may have. @param {Activity} request */
function isChange({ method, status }) {
	return !/^(GET|HEAD|OPTIONS|TRACE)$/.test(method) && (status < 400 || status >= 499);
}

/**
 * Requests in groups of those with the same values.
 * @param {Activity[]} requests @param {(request: Activity) => unknown[]} values
 */
function alike(requests, values) {
	/** @type {Map<string, [Activity, ...Activity[]]>} */
	const groups = new Map();
	for (const request of requests) {
		const name = JSON.stringify(values(request));
		const group = groups.get(name);
		if (group) group.push(request);
		else groups.set(name, [request]);
	}
	return [...groups.values()];
}

/**
 * A table under a heading, or `nothing` without rows.
 * @param {string} title @param {string[]} columns @param {Children[][]} rows @param {string} [nothing]
 */
function section(title, columns, rows, nothing = "Nothing is recorded.") {
	const body = el(
		"tbody",
		{},
		rows.map((row) => table.row(columns, row)),
	);
	const content = rows.length > 0 ? table(title, columns, body) : p("muted", nothing);
	return el("section", "page", el("h2", {}, title), content);
}
