/** Where a key stands in its life, in words and in colour. */

import { el } from "./dom.js";

/** @type {Record<KeyStatus, [string, string, string]>} The word, the tone, and what it means. */
const STATUSES = {
	active: ["Active", "good", "Accepted."],
	rotating: ["Rotating", "info", "Two secrets are accepted."],
	not_yet_valid: ["Scheduled", "info", "Not accepted yet."],
	disabled: ["Disabled", "warn", "Not accepted until it is enabled again."],
	expired: ["Expired", "off", "Not accepted any more."],
	revoked: ["Revoked", "bad", "Never accepted again."],
};

/** @type {KeyStatus[]} */
export const ALL = ["active", "rotating", "not_yet_valid", "disabled", "expired", "revoked"];

/** @param {KeyStatus} status */
export function word(status) {
	return STATUSES[status]?.[0] ?? status;
}

/** @param {KeyStatus} status */
export function badge(status) {
	const [label, tone, meaning] = STATUSES[status] ?? [status, "off", ""];
	return mark(tone, label, meaning);
}

/** @param {string} tone @param {string} label @param {string} meaning */
export function mark(tone, label, meaning) {
	return el("span", { class: `badge ${tone}`, title: meaning }, label);
}

/** Will a key never be let in again? @param {ApiKey} key */
export function isOver(key) {
	return key.status === "revoked";
}
