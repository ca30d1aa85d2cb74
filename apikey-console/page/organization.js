/** The organization's usage by environment and account, and the limits of its plan. */

import { offered } from "./csv.js";
import { openDialog } from "./dialog.js";
import { el, theirs } from "./dom.js";
import { button, details, head, loaded, panel, table } from "./parts.js";
import { go, href } from "./router.js";
import { DAY, span } from "./time.js";
import { usage } from "./usage.js";

/** How many accounts are counted one by one. */
const ACCOUNTS = "50";

/** @typedef {{name: string, query: Record<string, string>}} Part */

/** @param {Context} ctx @param {URLSearchParams} query @returns {Promise<View>} */
export async function showUsage(ctx, query) {
	const [limits, { environments }, accounts] = await Promise.all([
		ctx.call("GET", "limits"),
		ctx.call("GET", "scopes"),
		ctx.call("GET", "service-accounts", { query: { limit: ACCOUNTS } }),
	]);
	/** @type {Part[]} */
	const parts = [
		{ name: "Everything", query: {} },
		...environments.map((/** @type {string} */ environment) => ({ name: environment, query: { environment } })),
		...accounts.items.map((/** @type {ServiceAccount} */ { id, name }) => ({ name, query: { service_account: id } })),
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
	const content = el(
		"div",
		{ class: "page" },
		head(
			"Usage",
			null,
			choice,
			button("Export…", () => exported(ctx, chosen)),
		),
		el(
			"div",
			{ class: "columns" },
			el(
				"div",
				{},
				panel(
					theirs(chosen.name),
					loaded(() => usage(ctx, "usage", chosen.query, true)),
				),
				panel(
					"By environment and account, 30 days",
					loaded(() => compared(ctx, parts)),
				),
			),
			el("div", {}, panel("Limits", plan(limits))),
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
			el("a", { href: href(["usage"], query) }, theirs(name)),
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

/**
 * The days of a year, as CSV.
 *
 * @param {Context} ctx
 * @param {Part} part
 */
async function exported(ctx, { name, query }) {
	const today = Math.ceil(Date.now() / (DAY * 1_000)) * DAY * 1_000;
	const from = new Date(today - 366 * DAY * 1_000).toISOString();
	const { buckets } = await ctx.call("GET", "usage", { query: { ...query, bucket: "day", from } });
	/** @type {[string, (bucket: UsageBucket) => unknown][]} */
	const columns = [
		["Day (UTC)", ({ start }) => start.slice(0, 10)],
		["Accepted", ({ ok }) => ok],
		["Refused", ({ refused }) => refused],
	];
	const { close } = openDialog(ctx, "Export", [
		el("p", {}, "The days of the last year on which there were requests."),
		...offered(ctx, `usage of ${name}`, columns, buckets),
		button("Close", () => close()),
	]);
}
