/** Moments and spans of time, in words and exactly. */

import { el } from "./dom.js";

export const MINUTE = 60;
export const HOUR = 3_600;
export const DAY = 86_400;

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
	["year", 365 * DAY],
	["month", 30 * DAY],
	["day", DAY],
	["hour", HOUR],
	["minute", MINUTE],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const precise = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** Says how long ago or ahead a moment is, such as "3 minutes ago". @param {string} moment */
function fromNow(moment) {
	const seconds = (Date.parse(moment) - Date.now()) / 1_000;
	for (const [unit, length] of UNITS) {
		const least = unit === "month" ? 2 * length : length;
		if (Math.abs(seconds) >= least) return relative.format(Math.round(seconds / length), unit);
	}
	return seconds > 0 ? "in less than a minute" : "just now";
}

/** Says a moment exactly, in the reader's time zone. @param {string | number | Date} moment */
export function exactly(moment) {
	return exact.format(new Date(moment));
}

/** Says a moment to the second, in the reader's time zone. @param {string} moment */
export function precisely(moment) {
	return el("time", { datetime: moment }, precise.format(new Date(moment)));
}

/** A moment in words, with the exact one beside it for those who ask. @param {string} moment */
export function ago(moment) {
	return el("time", { datetime: moment, title: exactly(moment) }, fromNow(moment));
}

/** The same, with the exact moment written out. @param {string} moment */
export function agoExactly(moment) {
	return el("time", { datetime: moment }, exactly(moment), el("span", "muted", ` (${fromNow(moment)})`));
}

/** When something was last used; never is a state of its own. @param {string | null} moment */
export function lastUsed(moment) {
	return moment ? ago(moment) : el("span", "muted", "Never used");
}

/** When a key expires. @param {string | null} moment */
export function expiry(moment) {
	return moment ? ago(moment) : el("span", "muted", "Never");
}

/** Says a span of time, such as "90 days". @param {number} seconds */
export function span(seconds) {
	for (const [unit, length] of UNITS.filter(([unit]) => unit !== "month")) {
		if (seconds >= length && seconds % length === 0)
			return `${seconds / length} ${unit}${seconds === length ? "" : "s"}`;
	}
	return seconds >= DAY ? `${Math.round(seconds / DAY)} days` : `${Math.round(seconds / MINUTE)} minutes`;
}
