/** Files of the page that are loaded when they are first needed. */

import { call, Problem } from "./api.js";

/** A file of the page that isn't there: nobody can be reached, or another version of the service has other files. */
export class NotLoaded extends Error {
	/** @param {unknown} cause */
	constructor(cause) {
		super(
			"This part of the page could not be loaded: the service can't be reached, or has been updated. Nothing was changed.",
			{ cause },
		);
	}
}

/** Waits for a file of the page. @template T @param {Promise<T>} file @returns {Promise<T>} */
export function later(file) {
	return file.catch((cause) => {
		throw new NotLoaded(cause);
	});
}

/** Loads the whole page anew, as browsers don't ask again for a file that failed; but not while nobody answers. */
export async function anew() {
	await call("GET", "whoami").catch((error) => {
		if (!(error instanceof Problem && error.status > 0)) throw error;
	});
	location.reload();
}
