/** Values of the API as text for a reader. */

import { exactly } from "./time.js";

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
	const nodes = receipts.at(-1)?.nodes;
	if (nodes === undefined) return "";
	const out = [...new Set(receipts.flatMap(({ waited_out }) => waited_out))];
	const all = nodes === 1 ? " It holds on the one process." : ` It holds on all ${nodes} processes.`;
	if (out.length === 0) return all;
	return `${all} Requests under way may still run on those that don't answer: ${out.join(", ")}.`;
}
