/** What an organization is told of its keys, and from when on: both are read once a screen, and mark the keys concerned. */

import { el, fill } from "./dom.js";
import { link } from "./parts.js";
import { mark } from "./words.js";

/** So many open alerts are read for marks and counted: the newest. */
const MOST = 2_000;

/** @type {Record<string, [string, string]>} What an event is called, and its tone. */
export const EVENTS = {
	"key.expiring": ["Expires soon", "warn"],
	"key.expired": ["Expired", "off"],
	"key.unused": ["Not used", "warn"],
	"key.rotation_due": ["Rotation due", "warn"],
	"key.usage_spike": ["Unusual use", "bad"],
	"key.issued": ["Created", "good"],
	"key.revoked": ["Revoked", "off"],
};

/** @type {Alert["event"][]} What stands beside a key's name; its status tells the rest. */
const MARKED = ["key.expiring", "key.unused", "key.rotation_due", "key.usage_spike"];

export class Alerts {
	#call;
	#tell;
	/** @type {Promise<List<Alert>> | undefined} */
	#open;
	/** @type {Promise<AlertSettings> | undefined} */
	#settings;

	/** @param {Context["call"]} call @param {(open: List<Alert>) => void} tell Is told whenever the open ones were read. */
	constructor(call, tell) {
		this.#call = call;
		this.#tell = tell;
	}

	/** The newest that nobody has acknowledged. */
	open() {
		this.#open ??= this.#read();
		return this.#open;
	}

	async #read() {
		/** @type {List<Alert>} */
		const open = { items: [], next_cursor: "" };
		do {
			const query = { acknowledged: "false", limit: "200", cursor: open.next_cursor ?? "" };
			const page = await this.#call("GET", "alerts", { query });
			open.items.push(...page.items);
			open.next_cursor = page.next_cursor;
		} while (open.next_cursor && open.items.length < MOST);
		this.#tell(open);
		return open;
	}

	/** Reads the open ones again. */
	again() {
		this.#open = undefined;
		return this.open();
	}

	/** The thresholds. */
	settings() {
		this.#settings ??= this.#call("GET", "alert-settings");
		return this.#settings;
	}

	/** What is open about a key, as marks that lead to its alerts. @param {string} id */
	marks(id) {
		const place = el("span", "marks");
		this.open().then(
			({ items }) => {
				const names = new Set(items.filter(({ key }) => key.id === id).map(({ event }) => event));
				const marked = MARKED.filter((name) => names.has(name));
				fill(place, ...marked.map((name) => link(["alerts"], eventMark(name), "", { key: id })));
			},
			() => {},
		);
		return place;
	}
}

/** @param {string} event */
export function eventMark(event) {
	const [label, tone] = EVENTS[event] ?? [event, "off"];
	return mark(tone, label, "");
}
