/**
 * The REST API: one call, and the one kind of error that calls end with.
 *
 * The session is a cookie that scripts can't read, so nothing here knows a credential.
 */

/** The API stands beside the folder of these files, wherever that is mounted. */
export const apiBase = new URL("../../v1/", import.meta.url);

/** The longest that a call may take. */
const LONGEST_MS = 30_000;

/** Why a call was not done. `status` is 0 if there was no answer. */
export class Problem extends Error {
	/** @param {number} status @param {string} code @param {string} detail @param {FieldProblem[]} [errors] */
	constructor(status, code, detail, errors = []) {
		super(detail);
		this.status = status;
		this.code = code;
		this.errors = errors;
	}
}

/**
 * @typedef {object} CallOptions
 * @property {Record<string, string | null | undefined>} [query] Parameters; empty ones are left out.
 * @property {unknown} [body] Sent as JSON.
 * @property {string | null} [etag] The version that is to be changed.
 * @property {AbortSignal} [signal]
 */

/**
 * Calls the API and returns the JSON of its answer, or null if it has none. A change of a service with several processes
 * has `fleet` beside it, which says where it holds.
 * @param {string} method @param {string} path Below `v1/`. @param {CallOptions} [options] @returns {Promise<any>}
 */
export async function call(method, path, { query, body, etag, signal } = {}) {
	const url = new URL(path, apiBase);
	for (const [name, value] of Object.entries(query ?? {})) {
		if (value) url.searchParams.set(name, value);
	}
	/** @type {Record<string, string>} */
	const headers = { Accept: "application/json" };
	if (body) headers["Content-Type"] = `application/${method === "PATCH" ? "merge-patch+" : ""}json`;
	if (etag) headers["If-Match"] = etag;
	const timeout = AbortSignal.timeout(LONGEST_MS);
	let response;
	let text;
	try {
		response = await fetch(url, {
			method,
			headers,
			body: body ? JSON.stringify(body) : null,
			signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
			cache: "no-store",
			redirect: "error",
		});
		text = await response.text();
	} catch (error) {
		if (signal?.aborted) throw error;
		throw lost(method, timeout.aborted);
	}
	const data = parsed(text);
	if (!response.ok) throw problem(response, data);
	const fleet = receipt(response.headers.get("Fleet-Receipt"));
	return fleet ? { ...data, fleet } : data;
}

/** Reads a dictionary of structured fields: `revision=7, nodes=3, waited-out=("0f…")`. @param {string | null} field */
function receipt(field) {
	if (!field) return null;
	const waited_out = [...field.matchAll(/"(\w+)"/g)].map(([, node]) => node);
	return { nodes: Number(/\bnodes=(\d+)/.exec(field)?.[1]), waited_out };
}

/** @param {string} method @param {boolean} isLate */
function lost(method, isLate) {
	const what = isLate ? "The service did not answer in time." : "The service can't be reached.";
	const then =
		method === "GET"
			? "Check your connection and try again."
			: "It may or may not have made the change. Check your connection, and look before you try again.";
	return new Problem(0, isLate ? "timeout" : "offline", `${what} ${then}`);
}

/** @param {Response} response @param {any} data */
function problem(response, data) {
	const wait = Number(response.headers.get("Retry-After"));
	const again = wait > 0 ? ` Try again in ${wait} second${wait === 1 ? "" : "s"}.` : "";
	const detail = data?.detail ?? `The service answered ${response.status}. Try again, or ask whoever runs it.`;
	return new Problem(response.status, data?.code ?? "unknown", detail + again, data?.errors);
}

/** @param {string} text */
function parsed(text) {
	try {
		return text ? JSON.parse(text) : null;
	} catch {
		return null;
	}
}
