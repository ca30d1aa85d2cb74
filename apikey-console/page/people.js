/** Who is behind an id: names of keys and service accounts, each asked for once a screen. */

import { el, theirs } from "./dom.js";
import { link } from "./parts.js";

export class People {
	#call;
	/** @type {Map<string, Promise<string | null>>} */
	#names = new Map();

	/** @param {Context["call"]} call */
	constructor(call) {
		this.#call = call;
	}

	/** Notes the names of keys that were read anyway. @param {ApiKey[]} keys */
	know(keys) {
		for (const key of keys) this.#names.set(`api-keys/${key.id}`, Promise.resolve(key.name));
	}

	/**
	 * An actor, as the audit trail names it: a key, the service itself, or somebody whom the host has logged in.
	 * @param {string} actor
	 */
	actor(actor) {
		const [kind, id = ""] = actor.split(/:(.*)/s, 2);
		if (kind === "host") return el("span", { title: id }, "The service");
		if (kind !== "key") return theirs(actor);
		return link(["keys", id], this.#named(`api-keys/${id}`, "a deleted key"));
	}

	/** The name of a key, or null if it is gone. @param {string} id @returns {Promise<string | null>} */
	name(id) {
		this.key(id);
		return /** @type {Promise<string | null>} */ (this.#names.get(`api-keys/${id}`));
	}

	/** A key by its name alone, for places that are not to be left. @param {string} id */
	key(id) {
		return this.#named(`api-keys/${id}`, id);
	}

	/** A service account. @param {string} id */
	account(id) {
		return link(["accounts", id], this.#named(`service-accounts/${id}`, "a deleted account"));
	}

	/** What an action was done to. @param {string} id */
	target(id) {
		if (id.startsWith("sa_")) return this.account(id);
		return id.startsWith("key_") ? this.actor(`key:${id}`) : theirs(id);
	}

	/** Who a key belongs to: its service account, or whoever issued it. @param {ApiKey} key */
	owner(key) {
		return key.service_account_id ? this.account(key.service_account_id) : this.actor(key.created_by);
	}

	/** @param {string} path @param {string} otherwise */
	#named(path, otherwise) {
		const place = el("bdi", {}, "…");
		let name = this.#names.get(path);
		if (!name) {
			name = this.#call("GET", path).then(
				(/** @type {{name: string}} */ found) => found.name,
				() => null,
			);
			this.#names.set(path, name);
		}
		name.then((known) => {
			place.textContent = known ?? otherwise;
		});
		return place;
	}
}
