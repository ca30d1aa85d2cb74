/** The list of keys: found by status, environment, account, creator and text. */

import { apiBase } from "./api.js";
import { asked, attention, SHOWN } from "./attention.js";
import { div, el, p, theirs } from "./dom.js";
import { choice } from "./form.js";
import { later } from "./later.js";
import { button, copyButton, found, head, link, loaded, table } from "./parts.js";
import { picks } from "./picks.js";
import { current, href, note } from "./router.js";
import { can, hasScopes, scopeList } from "./scopes.js";
import { ago, expiry, lastUsed } from "./time.js";
import { ALL, badge, word } from "./words.js";

const PAGE = "50";
const FILTERS = ["q", "show", "status", "environment", "service_account", "created_by"];
const COLUMNS = ["Name", "Status", "Scopes", "Owner", "Created", "Last used", "Expires"];

/** How long the page waits for the next letter before it searches. */
const TYPING_MS = 250;

/** @param {Context} ctx @param {URLSearchParams} query */
export async function showKeys(ctx, query) {
	const [page, limits, accounts, catalog] = await Promise.all([
		read(ctx, query),
		ctx.call("GET", "limits"),
		ctx.call("GET", "service-accounts", { query: { limit: "200" } }),
		ctx.call("GET", "scopes"),
	]);
	const { place, show } = found(results(ctx, query, page));
	/** @param {URLSearchParams} changed @param {boolean} replace */
	const search = (changed, replace) => {
		changed.delete("cursor");
		note(href(["keys"], changed), { replace });
		show(async () => results(ctx, changed, await read(ctx, changed)));
	};
	const save = async () => {
		const { exportAll, listed } = await later(import("./csv.js"));
		exportAll(ctx, "API keys", listed(ctx, "api-keys", await asOfApi(ctx, current().query)), EXPORTED);
	};
	const left = async () => (await later(import("./revoke.js"))).someoneLeft(ctx);
	const isFresh = !isFiltered(query) && !query.get("cursor") && page.items.length === 0;
	const content = div(
		hasScopes(catalog) ? "page" : "page plain",
		head(
			"API keys",
			use(limits),
			!isFresh && button("Export…", save),
			can(ctx.caller, "keys:admin") && button("Somebody left…", left),
			can(ctx.caller, "keys:write")
				? link(["keys", "new"], "Create key", "button primary")
				: p("muted", "Your key can look, but not make changes."),
		),
		!isFresh && loaded(() => attention(ctx, query.get("show"))),
		!isFresh && filters(ctx, query, accounts.items, catalog.environments, search),
		place,
	);
	return { title: "API keys", content: [content] };
}

/** @param {Context} ctx @param {URLSearchParams} query @returns {Promise<ApiKeyPage>} */
async function read(ctx, query) {
	const page = await ctx.call("GET", "api-keys", {
		query: { ...(await asOfApi(ctx, query)), cursor: query.get("cursor"), limit: PAGE },
	});
	ctx.people.know(page.items);
	return page;
}

/**
 * What the API is asked for. What the reader chose goes before what a list of what needs attention asks for.
 * @param {Context} ctx @param {URLSearchParams} query @returns {Promise<Record<string, string>>}
 */
async function asOfApi(ctx, query) {
	const { show = "", cursor: _, ...rest } = Object.fromEntries(query);
	return { ...(await asked(ctx, show)), ...rest };
}

/** @type {[string, (key: ApiKey) => unknown][]} */
const EXPORTED = [
	["Id", ({ id }) => id],
	["Name", ({ name }) => name],
	["Description", ({ description }) => description],
	["Hint", ({ hint }) => hint],
	["Status", ({ status }) => status],
	["Environment", ({ environment }) => environment],
	["Service account", ({ service_account_id }) => service_account_id],
	["Scopes", ({ scopes }) => scopes.join(" ")],
	["Created", ({ created_at }) => created_at],
	["Created by", ({ created_by }) => created_by],
	["Last used", ({ last_used_at }) => last_used_at],
	["Expires", ({ expires_at }) => expires_at],
	["Revoked", ({ revoked_at }) => revoked_at],
];

/**
 * A whole secret, pasted to find its key, stays out of the address and of the server's log: its last four characters find
 * the key as well.
 * @param {string} text
 */
function hint(text) {
	return /^\S*[\w-]{24,}$/.test(text) && !/^(key|sa)_[0-9a-z]{26}$/.test(text) ? `…${text.slice(-4)}` : text;
}

/** @param {URLSearchParams} query */
function isFiltered(query) {
	return FILTERS.some((name) => query.get(name));
}

/** Says how much of the plan is in use. @param {Limits} limits */
export function use({ keys: { used, allowed } }) {
	if (allowed !== null && allowed !== undefined) return `${used} of ${allowed} keys in use`;
	return used === 1 ? "1 key in use" : `${used} keys in use`;
}

/**
 * @param {Context} ctx @param {URLSearchParams} query @param {ServiceAccount[]} accounts @param {string[]} environments
 * @param {(changed: URLSearchParams, replace: boolean) => void} search
 */
function filters(ctx, query, accounts, environments, search) {
	const form = el("form", {
		class: "filters",
		role: "search",
		onsubmit: (/** @type {Event} */ event) => event.preventDefault(),
	});
	const changed = () => {
		const values = [...new FormData(form)].map(([name, value]) => [name, String(value).trim()]);
		return new URLSearchParams(
			values.filter(([, value]) => value).map(([name = "", value = ""]) => [name, name === "q" ? hint(value) : value]),
		);
	};
	let typing = 0;
	const text = el("input", {
		type: "search",
		name: "q",
		value: query.get("q") ?? "",
		placeholder: "Name, or a key's first and last characters",
		"aria-label": "Search keys",
		oninput: () => {
			clearTimeout(typing);
			// The reader may have left meanwhile, and the address then is another screen's.
			const here = location.hash;
			typing = setTimeout(() => location.hash === here && search(changed(), true), TYPING_MS);
		},
	});
	/** @param {string} name @param {string} label @param {string[][]} options */
	const filter = (name, label, options) => {
		const value = query.get(name) ?? "";
		const known = options.some(([option]) => option === value) ? options : [...options, [value, value]];
		return choice(known, value, { name, "aria-label": label, onchange: () => search(changed(), false) });
	};
	form.append(
		text,
		filter("show", "Attention", [["", "All keys"], ...Object.entries(SHOWN).map(([name, { label }]) => [name, label])]),
		filter("status", "Status", [["", "Any status"], ...ALL.map((status) => [status, word(status)])]),
		filter("created_by", "Created by", [
			["", "Created by anyone"],
			[ctx.caller.actor, "Created by me"],
		]),
	);
	if (environments.length > 1 || query.get("environment")) {
		form.append(
			filter("environment", "Environment", [["", "Any environment"], ...environments.map((name) => [name, name])]),
		);
	}
	if (accounts.length > 0 || query.get("service_account")) {
		form.append(
			filter("service_account", "Service account", [
				["", "Any account"],
				...accounts.map(({ id, name }) => [id, name]),
			]),
		);
	}
	return form;
}

/** @param {Context} ctx @param {URLSearchParams} query @param {ApiKeyPage} page */
function results(ctx, query, page) {
	const isLater = Boolean(query.get("cursor"));
	if (page.items.length === 0 && !isLater) return [isFiltered(query) ? nothingFound() : welcome(ctx)];
	const next = new URLSearchParams(query);
	next.set("cursor", page.next_cursor ?? "");
	const first = new URLSearchParams(query);
	first.delete("cursor");
	return [
		selectable(ctx, page.items),
		(isLater || page.next_cursor) &&
			el(
				"nav",
				{ class: "pages", "aria-label": "Pages" },
				isLater && link(["keys"], "Newest", "button small", first),
				page.next_cursor && link(["keys"], "Older keys", "button small", next),
			),
	];
}

/** @param {HTMLElement} rows @param {Child[]} columns */
export function keyTable(rows, columns = COLUMNS) {
	return table("API keys", columns, rows);
}

/**
 * The keys, with boxes to choose several of them for those who may end them.
 * @param {Context} ctx @param {ApiKey[]} keys
 */
function selectable(ctx, keys) {
	const rows = keys.map((key) => keyRow(ctx, key));
	const body = el("tbody", {}, rows);
	if (!can(ctx.caller, "keys:admin")) return keyTable(body);
	/** @param {() => ApiKey[]} chosen */
	const actions = (chosen) => {
		/** @param {"disable" | "enable"} verb */
		const turn = async (verb) => (await later(import("./bulk.js"))).turn(ctx, chosen(), verb);
		const revoke = async () => {
			const selections = chosen().map(({ id }) => ({ key_id: id }));
			(await later(import("./revoke.js"))).end(ctx, "Revoke the selected keys", selections, false);
		};
		return [
			button("Disable…", () => turn("disable"), "small"),
			button("Enable…", () => turn("enable"), "small"),
			button("Revoke…", revoke, "small danger"),
		];
	};
	const { add, all, bar } = picks("Selected keys", actions);
	for (const [index, key] of keys.entries()) add(/** @type {HTMLElement} */ (rows[index]), key.name, key);
	const list = keyTable(body, [all, ...COLUMNS]);
	list.classList.add("picks");
	return div("", bar, list);
}

/** @param {Context} ctx @param {ApiKey} key */
export function keyRow(ctx, key) {
	const row = table.row(COLUMNS, [
		[
			link(["keys", key.id], theirs(key.name), "name"),
			el(
				"span",
				"under",
				el("code", {}, key.hint),
				key.environment && el("span", "tag", key.environment),
				ctx.alerts.marks(key.id),
			),
		],
		badge(key.status),
		scopeList(key.scopes, 2),
		ctx.people.owner(key),
		ago(key.created_at),
		lastUsed(key.last_used_at ?? null),
		expiry(key.expires_at ?? null),
	]);
	if (key.status === "revoked" || key.status === "expired") row.classList.add("over");
	return row;
}

/** @param {Context} ctx */
function welcome(ctx) {
	const line = `curl -H "Authorization: Bearer $API_KEY" ${new URL("api-keys", apiBase).href} \\\n  -H "Content-Type: application/json" -d '{"name": "my first key"}'`;
	return div(
		"panel empty",
		el("h2", {}, "No keys yet"),
		p("", "A key lets a program call this service. Give it a name and the scopes that the program needs."),
		can(ctx.caller, "keys:write") && p("", link(["keys", "new"], "Create a key", "button primary")),
		p("muted", "Or from a terminal:"),
		div(
			"code",
			el("pre", {}, line),
			copyButton(() => line, "the curl line"),
		),
	);
}

function nothingFound() {
	return div(
		"panel empty",
		el("h2", {}, "No key matches"),
		p("", "Search looks at names, descriptions, ids and hints, and doesn't see other parts of a secret."),
		p("", link(["keys"], "Show all keys", "button")),
	);
}
