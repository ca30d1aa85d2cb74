/** Values of the API as text for a reader. */

import { exactly } from "./time.js";

/**
 * A value of a key's field, in words.
 *
 * @param {unknown} value
 */
export function shown(value) {
	if (value === null || value === undefined || value === "") return "none";
	if (Array.isArray(value)) return value.join(", ") || "none";
	if (typeof value === "object") return JSON.stringify(value);
	return /^\d{4}-\d\d-\d\dT/.test(String(value)) ? exactly(String(value)) : String(value);
}
