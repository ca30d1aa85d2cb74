/** How much a key was used: in the last day, week and month. */

import { chart } from "./chart.js";
import { div, el, p } from "./dom.js";
import { button } from "./parts.js";
import { hourly, spikes, spread } from "./spikes.js";
import { DAY } from "./time.js";

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short", timeZone: "UTC" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/**
 * Usage in the last day, week and month.
 * @param {Context} ctx @param {string} path @param {Record<string, string>} [query] @param {boolean} [withSpikes]
 */
export async function usage(ctx, path, query = {}, withSpikes = false) {
	const [hours, days, settings] = await Promise.all([
		hourly(ctx, path, query),
		ctx.call("GET", path, { query: { ...query, bucket: "day" } }),
		withSpikes ? ctx.alerts.settings() : null,
	]);
	const month = spread(days, DAY);
	const marked = settings ? spikes(hours, settings) : new Set();
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
			settings?.spike_factor &&
				` ▲ marks spikes: hours, and days with such an hour, of at least ${settings.spike_minimum.toLocaleString("en")} requests and ${settings.spike_factor} times the median of the 7 days before.`,
		),
	];
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
