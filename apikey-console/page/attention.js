/** What needs attention: keys that expire soon, are due for a rotation, or are not used; each leads to its keys. */

import { el } from "./dom.js";
import { href } from "./router.js";
import { hourly, spikes } from "./spikes.js";
import { DAY } from "./time.js";

/** Past this many, a count says so. */
const MOST = 99;

/** @param {number} days */
const inDays = (days) => new Date(Date.now() + days * DAY * 1_000).toISOString();

/**
 * @typedef {object} Concern
 * @property {string} label
 * @property {(settings: AlertSettings) => number} days The threshold; 0 asks for nothing.
 * @property {(days: number) => string} about
 * @property {(days: number) => Record<string, string>} query What the API is asked for.
 */

/**
 * Lists by what needs attention, as addresses name them. The thresholds are those of alerts.
 * @type {Record<string, Concern>}
 */
export const SHOWN = {
	expiring: {
		label: "Expiring soon",
		days: ({ expiring_days: all }) => Math.max(0, ...all),
		about: (days) => `within ${days} days`,
		query: (days) => ({ status: "active", expires_before: inDays(days), sort: "expires_at" }),
	},
	due: {
		label: "Rotation due",
		days: ({ rotation_days: days }) => days ?? 0,
		about: (days) => `after ${days} days`,
		query: (days) => ({ status: "active", rotation_due: String(days) }),
	},
	unused: {
		label: "Never used",
		days: () => 1,
		about: () => "since creation",
		query: () => ({ status: "active", unused: "true" }),
	},
	idle: {
		label: "Not used lately",
		days: ({ unused_days: days }) => days ?? 0,
		about: (days) => `for ${days} days`,
		query: (days) => ({ status: "active", last_used_before: inDays(-days), sort: "last_used_at" }),
	},
};

/** What a list asks the API for. @param {Context} ctx @param {string} name */
export async function asked(ctx, name) {
	const concern = SHOWN[name];
	if (!concern) return {};
	const days = concern.days(await ctx.alerts.settings());
	return days ? concern.query(days) : {};
}

/** The counts, each a link to its keys. @param {Context} ctx @param {string | null} current */
export async function attention(ctx, current) {
	const settings = await ctx.alerts.settings();
	const cards = Object.entries(SHOWN).map(async ([name, { label, days: threshold, about, query }]) => {
		const days = threshold(settings);
		if (!days) return null;
		const { items, next_cursor } = await ctx.call("GET", "api-keys", {
			query: { ...query(days), limit: String(MOST) },
		});
		const count = next_cursor ? `${MOST}+` : String(items.length);
		return card(count, label, about(days), href(["keys"], name === current ? {} : { show: name }), name === current);
	});
	const spiking =
		settings.spike_factor &&
		hourly(ctx, "usage", {}).then((hours) =>
			card(String(spikes(hours, settings).size), "Spikes", "hours of unusual use", href(["usage"]), false),
		);
	return el("nav", { class: "cards", "aria-label": "What needs attention" }, await Promise.all([...cards, spiking]));
}

/**
 * @param {string} count @param {string} label @param {string} about @param {string} address @param {boolean} isCurrent
 */
function card(count, label, about, address, isCurrent) {
	return el(
		"a",
		{ class: count === "0" ? "card none" : "card", href: address, "aria-current": isCurrent && "true" },
		el("strong", {}, count),
		el("span", {}, label, el("span", "muted", about)),
	);
}
