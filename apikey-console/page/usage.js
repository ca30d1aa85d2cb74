/** How much a key was used: in the last day, week and month. */

import { chart } from "./chart.js";
import { div, el, p } from "./dom.js";
import { button } from "./parts.js";
import { DAY, HOUR } from "./time.js";

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short", timeZone: "UTC" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** An hour is a spike from this many requests on, and this many times the median of the hours before it. */
const SPIKE_REQUESTS = 1_000;
const SPIKE_FACTOR = 10;
const USUAL_HOURS = 7 * 24;

/** So many hours are read: the API has no more at a time. */
const HOURS = 31 * 24;

/** The last hours, oldest first. @param {Context} ctx @param {string} path @param {Record<string, string>} query */
export async function hourly(ctx, path, query) {
	const hour = HOUR * 1_000;
	const from = new Date((Math.ceil(Date.now() / hour) - HOURS) * hour).toISOString();
	const hours = await ctx.call("GET", path, { query: { ...query, bucket: "hour", from } });
	return spread(hours, HOUR);
}

/** The hours that are spikes, of those with a week before them. @param {Count[]} hours */
export function spikes(hours) {
	const totals = hours.map(({ ok, refused }) => ok + refused);
	const found = hours.filter((_, index) => {
		const total = totals[index] ?? 0;
		if (index < USUAL_HOURS || total < SPIKE_REQUESTS) return false;
		const usual = totals.slice(index - USUAL_HOURS, index).sort((a, b) => a - b);
		return total >= SPIKE_FACTOR * (usual[USUAL_HOURS / 2] ?? 0);
	});
	return new Set(found.map(({ at }) => at));
}

/**
 * Usage in the last day, week and month.
 * @param {Context} ctx @param {string} path @param {Record<string, string>} [query] @param {boolean} [withSpikes]
 */
export async function usage(ctx, path, query = {}, withSpikes = false) {
	const [hours, days] = await Promise.all([
		hourly(ctx, path, query),
		ctx.call("GET", path, { query: { ...query, bucket: "day" } }),
	]);
	const month = spread(days, DAY);
	const marked = withSpikes ? spikes(hours) : new Set();
	const spikeDays = new Set([...marked].map((at) => at - (at % (DAY * 1_000))));
	const spans = [
		{ name: "24 hours", bars: named(hours.slice(-24), clock, moment, marked) },
		{ name: "7 days", bars: named(month.slice(-7), weekday, day, spikeDays) },
		{ name: "30 days", bars: named(month, day, day, spikeDays) },
	];
	const place = div("");
	/** @param {number} chosen */
	const show = (chosen) => {
		const { name, bars } = /** @type {typeof spans[0]} */ (spans[chosen]);
		const ok = sum(bars.map((bar) => bar.ok));
		const refused = sum(bars.map((bar) => bar.refused));
		const total = p(
			"totals",
			el("span", "legend ok", el("strong", {}, ok.toLocaleString("en")), " accepted"),
			el("span", "legend refused", el("strong", {}, refused.toLocaleString("en")), " refused for a missing scope"),
		);
		const drawn =
			ok + refused === 0
				? p("muted", `No requests in the last ${name}.`)
				: chart(bars, `Requests in the last ${name}: ${ok} accepted, ${refused} refused.`);
		place.replaceChildren(total, drawn);
		for (const [index, tab] of tabs.entries()) tab.setAttribute("aria-pressed", String(index === chosen));
	};
	const tabs = spans.map(({ name }, index) => button(name, () => show(index), "small"));
	show(0);
	return [
		el("div", { class: "spans", role: "group", "aria-label": "Span of time" }, tabs),
		place,
		p(
			"hint",
			"Counted within seconds. Days are days of UTC.",
			withSpikes &&
				` ▲ marks spikes: hours, and days with such an hour, of at least ${SPIKE_REQUESTS.toLocaleString("en")} requests and ${SPIKE_FACTOR} times the median of the 7 days before.`,
		),
	];
}

/** Fills in the spans of time in which nothing was counted. @param {Usage} counted @param {number} length */
function spread({ from, to, buckets }, length) {
	const found = new Map(buckets.map((bucket) => [Date.parse(bucket.start), bucket]));
	const all = [];
	for (let at = Date.parse(from); at < Date.parse(to); at += length * 1_000) {
		all.push({ at, ok: found.get(at)?.ok ?? 0, refused: found.get(at)?.refused ?? 0 });
	}
	return all;
}

/**
 * @param {Count[]} counts @param {Intl.DateTimeFormat} short @param {Intl.DateTimeFormat} long
 * @param {Set<unknown>} marked
 */
function named(counts, short, long, marked) {
	return counts.map(({ at, ok, refused }) => ({
		label: short.format(at),
		full: long.format(at),
		ok,
		refused,
		isSpike: marked.has(at),
	}));
}

/** @param {number[]} numbers */
function sum(numbers) {
	return numbers.reduce((all, one) => all + one, 0);
}
