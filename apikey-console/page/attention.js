/** What needs attention: keys that expire soon, are due for a rotation, or are not used; each leads to its keys. */

import { el } from "./dom.js";
import { href } from "./router.js";
import { DAY } from "./time.js";
import { hourly, spikes } from "./usage.js";

const SOON_DAYS = 14;
const ROTATION_DAYS = 90;
const IDLE_DAYS = 90;

/** Past this many, a count says so. */
const MOST = 99;

/** @param {number} days */
const inDays = (days) => new Date(Date.now() + days * DAY * 1_000).toISOString();

/**
 * Lists by what needs attention, as addresses name them, and what they ask the API for.
 * @type {Record<string, {label: string, about: string, query: () => Record<string, string>}>}
 */
export const SHOWN = {
	expiring: {
		label: "Expiring soon",
		about: `within ${SOON_DAYS} days`,
		query: () => ({ status: "active", expires_before: inDays(SOON_DAYS), sort: "expires_at" }),
	},
	due: {
		label: "Rotation due",
		about: `after ${ROTATION_DAYS} days`,
		query: () => ({ status: "active", rotation_due: String(ROTATION_DAYS) }),
	},
	unused: {
		label: "Never used",
		about: "since creation",
		query: () => ({ status: "active", unused: "true" }),
	},
	idle: {
		label: "Not used lately",
		about: `for ${IDLE_DAYS} days`,
		query: () => ({ status: "active", last_used_before: inDays(-IDLE_DAYS), sort: "last_used_at" }),
	},
};

/** The counts, each a link to its keys. @param {Context} ctx @param {string | null} current */
export async function attention(ctx, current) {
	const cards = Object.entries(SHOWN).map(async ([name, { label, about, query }]) => {
		const { items, next_cursor } = await ctx.call("GET", "api-keys", {
			query: { ...query(), limit: String(MOST) },
		});
		const count = next_cursor ? `${MOST}+` : String(items.length);
		return card(count, label, about, href(["keys"], name === current ? {} : { show: name }), name === current);
	});
	const spiking = hourly(ctx, "usage", {}).then((hours) =>
		card(String(spikes(hours).size), "Spikes", "hours of unusual use", href(["usage"]), false),
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
