/** What the API says, in words and in colour: the state of a key, a value, and where a change holds. */

import { el } from "./dom.js";
import { exactly } from "./time.js";

/** @type {Record<KeyStatus, [string, string, string]>} The word, the tone, and what it means. */
const STATUSES = {
	active: ["Active", "good", "Accepted."],
	rotating: ["Rotating", "info", "Two secrets are accepted."],
	not_yet_valid: ["Scheduled", "info", "Not accepted yet."],
	disabled: ["Disabled", "warn", "Not accepted until it is enabled again."],
	expired: ["Expired", "off", "Not accepted any more."],
	revoked: ["Revoked", "bad", "Never accepted again."],
};

export const ALL = /** @type {KeyStatus[]} */ (Object.keys(STATUSES));

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

/** A value of a key's field, in words. @param {unknown} value */
export function shown(value) {
	if (value === null || value === undefined || value === "") return "none";
	if (Array.isArray(value)) return value.join(", ") || "none";
	if (typeof value === "object") return JSON.stringify(value);
	return /^\d{4}-\d\d-\d\dT/.test(String(value)) ? exactly(String(value)) : String(value);
}

/**
 * Says where a change holds, after a sentence that says what was changed; nothing where the service is one process.
 * @param {...Changed} answers Of the calls that made it.
 */
export function reached(...answers) {
	const receipts = answers.flatMap((answer) => answer?.fleet ?? []);
	const nodes = receipts.at(-1)?.nodes ?? 1;
	const out = [...new Set(receipts.flatMap(({ waited_out }) => waited_out))];
	const all = nodes > 1 ? ` It holds on all ${nodes} processes.` : "";
	if (out.length === 0) return all;
	return `${all} Requests under way may still run on those that don't answer: ${out.join(", ")}.`;
}
