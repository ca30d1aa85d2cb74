/** Hours of use, and those of unusual use. */

import { HOUR } from "./time.js";

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

/**
 * The hours that are spikes, of those with a week before them.
 * @param {Count[]} hours @param {AlertSettings} settings How many requests, and how many times the median, a spike has.
 */
export function spikes(hours, { spike_factor: factor, spike_minimum: least }) {
	if (!factor) return new Set();
	const totals = hours.map(({ ok, refused }) => ok + refused);
	const found = hours.filter((_, index) => {
		const total = totals[index] ?? 0;
		if (index < USUAL_HOURS || total < least) return false;
		const usual = totals.slice(index - USUAL_HOURS, index).sort((a, b) => a - b);
		return total >= factor * (usual[USUAL_HOURS / 2] ?? 0);
	});
	return new Set(found.map(({ at }) => at));
}

/** Fills in the spans of time in which nothing was counted. @param {Usage} counted @param {number} length */
export function spread({ from, to, buckets }, length) {
	const found = new Map(buckets.map((bucket) => [Date.parse(bucket.start), bucket]));
	const all = [];
	for (let at = Date.parse(from); at < Date.parse(to); at += length * 1_000) {
		all.push({ at, ok: found.get(at)?.ok ?? 0, refused: found.get(at)?.refused ?? 0 });
	}
	return all;
}
