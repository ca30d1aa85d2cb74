/** The organization's usage by environment and account, and the limits of its plan. */

import { exportButton } from "./csv.js";
import { div, el, theirs } from "./dom.js";
import { details, head, link, panel, part, table } from "./parts.js";
import { go, href } from "./router.js";
import { DAY, span } from "./time.js";
import { usage } from "./usage.js";

/** How many accounts are counted one by one. */
const ACCOUNTS = "50";

const YEAR = "The days of the last year on which there were requests.";

/** @param {Context} ctx @param {URLSearchParams} query */
export async function showUsage(ctx, query) {
	const [limits, { environments }, accounts] = await Promise.all([
		ctx.call("GET", "limits"),
		ctx.call("GET", "scopes"),
		ctx.call("GET", "service-accounts", { query: { limit: ACCOUNTS } }),
	]);
	/** @type {Part[]} */
	const parts = [
		{ name: "Everything", query: {} },
		...environments.map((environment) => ({ name: environment, query: { environment } })),
		...accounts.items.map(({ id, name }) => ({ name, query: { service_account: id } })),
	];
	const asked = Object.fromEntries(query);
	const chosen = parts.find(
		({ query: part }) => part.environment === asked.environment && part.service_account === asked.service_account,
	) ?? { name: "Everything", query: {} };
	const choice = el(
		"select",
		{ "aria-label": "Usage of", onchange: () => go(href(["usage"], parts[choice.selectedIndex]?.query)) },
		parts.map((part) => el("option", { selected: part === chosen }, part.name)),
	);
	const content = div(
		"page",
		head("Usage", null, choice, exportButton(ctx, `usage of ${chosen.name}`, months(ctx, chosen), EXPORTED, YEAR)),
		div(
			"columns",
			div(
				"",
				part(theirs(chosen.name), () => usage(ctx, "usage", chosen.query, true)),
				part("By environment and account, 30 days", () => compared(ctx, parts)),
			),
			div("", panel("Limits", plan(limits))),
		),
	);
	return { title: "Usage", content: [content] };
}

/** @param {Context} ctx @param {Part[]} parts */
async function compared(ctx, parts) {
	const counted = await Promise.all(
		parts.map(async (part) => ({
			...part,
			...(await ctx.call("GET", "usage", { query: { ...part.query, bucket: "day" } })),
		})),
	);
	const most = Math.max(1, ...counted.map(({ ok, refused }) => ok + refused));
	const names = ["Of", "Accepted", "Refused", "Share"];
	const rows = counted.map(({ name, query, ok, refused }) =>
		table.row(names, [
			link(["usage"], theirs(name), "", query),
			ok.toLocaleString("en"),
			refused.toLocaleString("en"),
			el("meter", { min: 0, max: most, value: ok + refused, "aria-label": `Share of ${name}` }),
		]),
	);
	return table("Requests of 30 days", names, el("tbody", {}, rows), "plain");
}

/** @param {Limits} limits */
function plan({
	keys,
	service_accounts,
	default_lifetime_seconds: usual,
	longest_lifetime_seconds: longest,
	expiry_required,
}) {
	/** @param {{used: number, allowed?: number | null}} limit @param {string} what */
	const use = ({ used, allowed }, what) =>
		allowed == null
			? [`${used}, without a limit`]
			: [`${used} of ${allowed}`, el("meter", { min: 0, max: Math.max(1, allowed), value: used, "aria-label": what })];
	return details([
		["Keys in use", use(keys, "Keys in use")],
		["Service accounts", use(service_accounts, "Service accounts in use")],
		["Lifetime of a new key", usual ? `${span(usual)}, unless it is set` : "Unlimited, unless it is set"],
		["Longest lifetime", longest ? span(longest) : "No limit"],
		["Keys without an expiry", expiry_required ? "Not allowed" : "Allowed"],
	]);
}

/** @type {[string, (bucket: UsageBucket) => unknown][]} */
const EXPORTED = [
	["Day (UTC)", ({ start }) => start.slice(0, 10)],
	["Accepted", ({ ok }) => ok],
	["Refused", ({ refused }) => refused],
];

/** The days of the last year, a month at a time. @param {Context} ctx @param {Part} part @returns {() => Pages<UsageBucket>} */
function months(ctx, { query }) {
	return () => {
		const day = DAY * 1_000;
		const end = Math.ceil(Date.now() / day) * day;
		return async (cursor, signal) => {
			const from = Number(cursor) || end - 366 * day;
			const to = Math.min(from + 31 * day, end);
			const span = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
			const { buckets } = await ctx.call("GET", "usage", { query: { ...query, ...span, bucket: "day" }, signal });
			return { items: buckets, next_cursor: to < end ? String(to) : null };
		};
	};
}
