/** The alerts as sentences, newest first, each with what helps; those that somebody acknowledges leave the open ones. */

import { EVENTS, eventMark } from "./alerts.js";
import { div, el, p, theirs } from "./dom.js";
import { choice } from "./form.js";
import { paged } from "./history.js";
import { button, found, head, link, table } from "./parts.js";
import { picks } from "./picks.js";
import { revoke } from "./revoke.js";
import { rotate } from "./rotate.js";
import { href, note } from "./router.js";
import { can } from "./scopes.js";
import { ago, HOUR, span } from "./time.js";

const COLUMNS = ["Alert", "Event", "Time", "What to do"];

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** @param {Context} ctx @param {URLSearchParams} query */
export async function showAlerts(ctx, query) {
	/** @param {URLSearchParams} asked */
	const read = (asked) => results(ctx, asked, () => show(() => read(asked)));
	const [first, webhooks] = await Promise.all([read(query), offersWebhooks(ctx)]);
	const { place, show } = found(first);
	const form = filters(ctx, query, (changed) => {
		note(href(["alerts"], changed));
		show(() => read(changed));
	});
	const content = div(
		"page",
		head(
			"Alerts",
			"What there is to know about keys, newest first. It stays until somebody acknowledges it.",
			link(["alerts", "settings"], "Settings", "button"),
			webhooks && link(["alerts", "webhooks"], "Webhooks", "button"),
		),
		form,
		place,
	);
	return { title: "Alerts", content: [content] };
}

/** Are there webhooks, and may the caller see them? @param {Context} ctx */
async function offersWebhooks(ctx) {
	if (!can(ctx.caller, "keys:admin")) return false;
	return ctx.call("GET", "webhooks").then(
		() => true,
		() => false,
	);
}

/** @param {Context} ctx @param {URLSearchParams} query @param {(changed: URLSearchParams) => void} search */
function filters(ctx, query, search) {
	const changed = () => {
		const values = [...new FormData(form)].map(([name, value]) => [name, String(value)]);
		search(new URLSearchParams(values.filter(([, value]) => value)));
	};
	const states = [
		["", "Open"],
		["all", "Open and acknowledged"],
	];
	const events = [["", "Any event"], ...Object.entries(EVENTS).map(([event, [label]]) => [event, label])];
	const key = query.get("key");
	const form = el(
		"form",
		{ class: "filters", role: "search", onchange: changed },
		choice(states, query.get("show"), { name: "show", "aria-label": "State" }),
		choice(events, query.get("event"), { name: "event", "aria-label": "Event" }),
		key && el("input", { type: "hidden", name: "key", value: key }),
		key && el("p", "about", "Only ", ctx.people.key(key), ". ", link(["alerts"], "Show all keys")),
	);
	return form;
}

/** @param {Context} ctx @param {URLSearchParams} query @param {() => void} reload */
async function results(ctx, query, reload) {
	const isOpen = query.get("show") !== "all";
	const mayChange = can(ctx.caller, "keys:write");
	const rows = el("tbody", {});
	/** @type {Map<string, HTMLTableRowElement>} */
	const drawn = new Map();
	/** @param {Alert[]} alerts */
	const acknowledge = async (alerts) => {
		for (const alert of alerts) gone(await acknowledged(ctx, alert));
		ctx.say(alerts.length === 1 ? "The alert was acknowledged." : `${alerts.length} alerts were acknowledged.`);
		ctx.alerts.again();
		if (rows.childElementCount === 0) reload();
	};
	const { add, all, bar, tell } = picks("Selected alerts", (/** @type {() => Alert[]} */ chosen) => [
		button("Acknowledge", () => acknowledge(chosen()), "small"),
	]);
	/** @param {Alert} alert */
	const draw = (alert) => {
		const row = rowOf(ctx, alert, mayChange && (() => acknowledge([alert])));
		if (mayChange && isOpen) add(row, row.cells[0]?.querySelector(".says")?.textContent ?? alert.id, alert);
		drawn.set(alert.id, row);
		return row;
	};
	/** @param {Alert} alert */
	const gone = (alert) => {
		const row = drawn.get(alert.id);
		const next = row?.nextElementSibling ?? row?.previousElementSibling;
		const isHere = row?.contains(/** @type {ShadowRoot} */ (ctx.root).activeElement);
		if (isOpen) row?.remove();
		else row?.replaceWith(draw(alert));
		if (isHere) /** @type {HTMLElement | null | undefined} */ (next?.querySelector(".acknowledge"))?.focus();
		tell();
	};
	const { show: _, ...rest } = Object.fromEntries(query);
	const more = await paged(ctx, "alerts", { ...rest, acknowledged: isOpen ? "false" : "" }, rows, draw, "50");
	if (rows.childElementCount === 0) return [nothing(isOpen && !query.get("event") && !query.get("key"))];
	const picking = mayChange && isOpen;
	const list = table("Alerts, newest first", picking ? [all, ...COLUMNS] : COLUMNS, rows);
	if (picking) list.classList.add("picks");
	return [picking && bar, list, more];
}

/** @param {Context} ctx @param {Alert} alert @returns {Promise<Alert>} */
function acknowledged(ctx, { id }) {
	return ctx.call("POST", `alerts/${id}/acknowledge`);
}

/** @param {boolean} isAll */
function nothing(isAll) {
	if (!isAll) return p("panel empty", "Nothing matches.");
	return div(
		"panel empty",
		el("h2", {}, "Nothing is open"),
		p("", "Keys that end soon, lie unused, need a new secret, or are suddenly used much more appear here."),
	);
}

/** @param {Context} ctx @param {Alert} alert @param {(() => unknown) | false} acknowledge */
function rowOf(ctx, alert, acknowledge) {
	const { key, acknowledged_at: at, acknowledged_by: by } = alert;
	const says = el("span", "says", sentence(alert, link(["keys", key.id], theirs(key.name), "name")));
	const row = table.row(COLUMNS, [
		[says, el("span", "under", el("code", {}, key.hint), key.environment && el("span", "tag", key.environment))],
		eventMark(alert.event),
		ago(alert.at),
		at
			? el("span", "muted", "Acknowledged ", ago(at), " by ", ctx.people.actor(by ?? ""))
			: acknowledge && div("actions", button("Acknowledge", acknowledge, "small acknowledge"), help(ctx, alert)),
	]);
	if (at) row.classList.add("over");
	return row;
}

/** What an alert says. @param {Alert} alert @param {Child} name The key's. @returns {Child[]} */
export function sentence({ event, details, at }, name) {
	const { expires_at, expired_at, since, hour, requests = 0, median = 0 } = details;
	const end = expires_at ?? expired_at;
	if (end) return [name, Date.parse(end) > Date.now() ? " expires " : " expired ", ago(end)];
	if (event === "key.unused") return [name, " has not been used for ", age(since)];
	if (event === "key.rotation_due") return [name, "’s secret is ", age(since), " old"];
	if (event === "key.usage_spike" && hour) {
		const start = Date.parse(hour);
		const usual = median > 0 ? `${Math.round(requests / median)} times as often as usual` : "and hardly ever before";
		const hours = `${clock.format(start)} and ${clock.format(start + HOUR * 1_000)} on ${day.format(start)}`;
		return [name, ` was used ${requests.toLocaleString("en")} times between ${hours}, ${usual}`];
	}
	return [name, ` was ${(EVENTS[event]?.[0] ?? event).toLowerCase()} `, ago(at)];
}

/** How long ago a moment is, in whole days. @param {string | undefined} moment */
function age(moment = "") {
	const days = Math.floor((Date.now() - Date.parse(moment)) / 86_400_000);
	return el("time", { datetime: moment }, days > 0 ? span(days * 86_400) : "less than a day");
}

/** The ways that help, by what they change. @param {Context} ctx @param {Alert} alert */
function help(ctx, { event, key: { id } }) {
	const key = () => ctx.call("GET", `api-keys/${id}`);
	const extend = () => link(["keys", id, "edit"], "Extend", "button small");
	const end = () => button("Revoke…", async () => revoke(ctx, await key()), "small danger");
	const disable = () =>
		button(
			"Disable",
			async () => {
				ctx.say("The key was disabled.", await ctx.call("POST", `api-keys/${id}/disable`));
				await ctx.reload();
			},
			"small",
		);
	/** @type {Record<string, () => Child[]>} */
	const ways = {
		"key.expiring": () => [extend()],
		"key.expired": () => [extend(), end()],
		"key.unused": () => [disable(), end()],
		"key.rotation_due": () => [button("Rotate…", async () => rotate(ctx, await key()), "small")],
		"key.usage_spike": () => [link(["keys", id, "trace"], "What it did", "button small"), disable(), end()],
	};
	return ways[event]?.() ?? [];
}

/** What is open about a key, for its own page. @param {Context} ctx @param {string} id */
export async function openOf(ctx, id) {
	const { items } = await ctx.call("GET", "alerts", { query: { key: id, acknowledged: "false", limit: "10" } });
	const close = (/** @type {Alert} */ alert) => async () => {
		await acknowledged(ctx, alert);
		ctx.say("The alert was acknowledged.");
		await ctx.reload();
	};
	return items.map((alert) =>
		div(
			"notice warn alert",
			p("", sentence(alert, "This key"), "."),
			can(ctx.caller, "keys:write") && button("Acknowledge", close(alert), "small"),
		),
	);
}
