/** Addresses: the state of a screen stands behind `#`, so that back, forward, reload and links work. */

/**
 * @typedef {object} Route
 * @property {string[]} path
 * @property {URLSearchParams} query
 */

/** Reads the address. @returns {Route} */
export function current() {
	const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
	return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

/** Returns the address of a screen. @param {string[]} path @param {URLSearchParams | Record<string, string>} [query] */
export function href(path, query) {
	const text = new URLSearchParams(query).toString();
	return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Goes to a screen. @param {string} address */
export function go(address) {
	location.hash = address;
}

/** Changes the address without leaving the screen. @param {string} address @param {{replace?: boolean}} [options] */
export function note(address, { replace = false } = {}) {
	if (address === location.hash) return;
	if (replace) history.replaceState(null, "", address);
	else history.pushState(null, "", address);
}

/** @param {string} segment */
function decoded(segment) {
	try {
		return decodeURIComponent(segment);
	} catch {
		return segment;
	}
}
