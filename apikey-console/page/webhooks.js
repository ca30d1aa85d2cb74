/** The addresses that alerts are sent to: a list of them, each with its deliveries, a test, and its signing secret, once. */

import { EVENTS, eventMark } from "./alerts.js";
import { ask, tell } from "./dialog.js";
import { div, el, p, theirs } from "./dom.js";
import { choice, field, group } from "./form.js";
import { paged } from "./history.js";
import { button, details, found, head, link, panel, table, trail } from "./parts.js";
import { overlap, overlapUpTo } from "./rotate.js";
import { go, href } from "./router.js";
import { shownOnce } from "./secret.js";
import { ago, agoExactly, DAY } from "./time.js";
import { mark } from "./words.js";

const COLUMNS = ["Address", "Status", "Events", "Created", "By"];
const DELIVERIES = ["Event", "State", "Attempts", "Answer", "Time"];

/** @type {Record<string, [string, string, string]>} The word, the tone, and what it means. */
const STATES = {
	pending: ["Pending", "info", "It is sent, or will be sent again."],
	delivered: ["Delivered", "good", "The receiver took it."],
	parked: ["Parked", "bad", "It was given up after three days, until somebody sends it again."],
};

/** @param {Context} ctx */
export async function showWebhooks(ctx) {
	const { items } = await ctx.call("GET", "webhooks");
	const rows = items.map((/** @type {Webhook} */ webhook) =>
		table.row(COLUMNS, [
			[link(["alerts", "webhooks", webhook.id], theirs(webhook.url), "name"), el("span", "under", webhook.description)],
			standing(webhook),
			told(webhook.events),
			ago(webhook.created_at),
			ctx.people.actor(webhook.created_by),
		]),
	);
	const content = div(
		"page",
		trail(link(["alerts"], "Alerts")),
		head(
			"Webhooks",
			"Addresses of yours that each alert is sent to, signed.",
			button("Add webhook…", () => create(ctx), "primary"),
		),
		rows.length > 0
			? table("Webhooks", COLUMNS, el("tbody", {}, rows))
			: p("panel empty", "No webhooks yet. Add the address of a program, and alerts are sent there as they happen."),
	);
	return { title: "Webhooks", content: [content] };
}

/** @param {Webhook} webhook */
function standing({ disabled }) {
	return disabled ? mark("warn", "Disabled", "Nothing is sent there.") : mark("good", "Enabled", "");
}

/** @param {string[]} events */
function told(events) {
	return events.length === 0 ? "All" : events.map((event) => EVENTS[event]?.[0] ?? event).join(", ");
}

/** The fields of a webhook. @param {{url: string, description: string, events: string[]}} webhook */
function fields(webhook) {
	const url = el("input", { type: "url", value: webhook.url, autocomplete: "off", spellcheck: "false" });
	const about = el("input", { type: "text", value: webhook.description, autocomplete: "off" });
	const boxes = Object.entries(EVENTS).map(([value, [label]]) => {
		const box = el("input", { type: "checkbox", value, checked: webhook.events.includes(value) });
		return { box, node: el("label", "choice", box, el("span", {}, label)) };
	});
	const choices = boxes.map(({ node }) => node);
	return {
		nodes: [
			field("url", "Address", url, "Begins with https, and can be reached from the service."),
			field("description", "Description (optional)", about),
			group("events", "Events", p("hint", "None chosen means all."), div("choices", choices)),
		],
		value: () => ({
			url: url.value.trim(),
			description: about.value.trim(),
			events: boxes.flatMap(({ box }) => (box.checked ? box.value : [])),
		}),
	};
}

/** @param {Context} ctx */
function create(ctx) {
	const { nodes, value } = fields({ url: "", description: "", events: [] });
	ask(ctx, "Add a webhook", "Add webhook", nodes, async (_, close) => {
		const made = await ctx.call("POST", "webhooks", { body: value() });
		close();
		await secretOf(ctx, made, "Webhook added");
		go(href(["alerts", "webhooks", made.id]));
	});
}

/** @param {Context} ctx @param {Webhook & {secret: string}} made @param {string} title */
function secretOf(ctx, { secret }, title) {
	const text =
		"The receiver checks with this secret that messages come from here. This is the only time that it is shown: store it now, where the receiver reads it.";
	return shownOnce(ctx, title, [p("", text)], secret, [["Secret", (shown) => shown]]);
}

/** @param {Context} ctx @param {string} id */
export async function showWebhook(ctx, id) {
	const path = `webhooks/${encodeURIComponent(id)}`;
	/** @type {Webhook} */
	const webhook = await ctx.call("GET", path);
	const { url, events, previous_secret_ends_at: ends } = webhook;
	const { place, show } = found(await deliveries(ctx, path, ""));
	const states = [["", "Any state"], ...Object.entries(STATES).map(([state, [label]]) => [state, label])];
	const state = choice(states, "", {
		"aria-label": "State",
		onchange: () => show(() => deliveries(ctx, path, state.value)),
	});
	/** @param {boolean} disabled @param {string} said */
	const turn = (disabled, said) => async () => {
		await ctx.call("PATCH", path, { body: { disabled } });
		ctx.say(said);
		await ctx.reload();
	};
	const content = div(
		"page",
		trail(link(["alerts"], "Alerts"), link(["alerts", "webhooks"], "Webhooks")),
		head(
			theirs(url),
			[standing(webhook), webhook.description && theirs(webhook.description)],
			button("Send a test", () => test(ctx, path)),
			button("Edit…", () => edit(ctx, path, webhook)),
			button("Rotate secret…", () => rotate(ctx, path)),
			webhook.disabled
				? button("Enable", turn(false, "The webhook was enabled."))
				: button("Disable", turn(true, "The webhook was disabled. What happens meanwhile is not sent there.")),
			button("Delete…", () => remove(ctx, path, url), "danger"),
		),
		panel(
			"Details",
			details([
				["Events", told(events)],
				["Created", [agoExactly(webhook.created_at), " by ", ctx.people.actor(webhook.created_by)]],
				["Old secret", ends ? ["Signs messages, too, until ", agoExactly(ends)] : null],
			]),
		),
		panel("Deliveries", el("form", "filters", state), place),
	);
	return { title: url, content: [content] };
}

/** @param {Context} ctx @param {string} path */
async function test(ctx, path) {
	const { status, error } = await ctx.call("POST", `${path}/test`);
	const isTaken = !error && status >= 200 && status < 300;
	const text = isTaken
		? `The receiver took the message and answered ${status}.`
		: `Not taken: ${answer(status, error)}.`;
	tell(ctx, "Test message", [p(isTaken ? "notice" : "notice bad", text)]);
}

/** @param {number | null | undefined} status @param {string | null | undefined} error */
function answer(status, error) {
	return [status && `the receiver answered ${status}`, error].filter(Boolean).join(", ");
}

/** @param {Context} ctx @param {string} path @param {Webhook} webhook */
function edit(ctx, path, webhook) {
	const { nodes, value } = fields(webhook);
	ask(ctx, "Edit the webhook", "Save changes", nodes, async () => {
		await ctx.call("PATCH", path, { body: value(), etag: `"${webhook.version}"` });
		ctx.say("The webhook was changed.");
		await ctx.reload();
	});
}

/** @param {Context} ctx @param {string} path */
function rotate(ctx, path) {
	const content = [
		p("", "The webhook gets a new secret. Until the old one ends, messages are signed with both."),
		overlapUpTo("How long does the old secret still work?", 7 * DAY),
	];
	ask(ctx, "Rotate the secret", "Rotate secret", content, async (form, close) => {
		const made = await ctx.call("POST", `${path}/rotate-secret`, { body: overlap(form) });
		close();
		await secretOf(ctx, made, "Secret rotated");
		await ctx.reload();
	});
}

/** @param {Context} ctx @param {string} path @param {string} url */
function remove(ctx, path, url) {
	const text = [el("strong", {}, theirs(url)), " gets nothing any more, and its deliveries are forgotten."];
	const action = async () => {
		await ctx.call("DELETE", path);
		ctx.say("The webhook was deleted.");
		go(href(["alerts", "webhooks"]));
	};
	ask(ctx, "Delete the webhook", "Delete webhook", [p("", text)], action, "danger solid");
}

/** @param {Context} ctx @param {string} path @param {string} state */
async function deliveries(ctx, path, state) {
	const rows = el("tbody", {});
	/** @param {Delivery} delivery */
	const draw = (delivery) => {
		const { attempts, next_attempt_at: next, last_status: status, last_error: error } = delivery;
		const [label, tone, meaning] = STATES[delivery.state] ?? [delivery.state, "off", ""];
		const retry = async () => {
			row.replaceWith(draw(await ctx.call("POST", `${path}/deliveries/${delivery.id}/retry`)));
			ctx.say("It will be sent again.");
		};
		const row = table.row(DELIVERIES, [
			eventMark(delivery.event),
			[mark(tone, label, meaning), " ", delivery.state === "parked" && button("Send again", retry, "small")],
			[String(attempts), next && attempts > 0 && [el("span", "muted", ", next "), ago(next)]].flat(),
			answer(status, error) || null,
			ago(delivery.created_at),
		]);
		return row;
	};
	const more = await paged(ctx, `${path}/deliveries`, { state }, rows, draw, "50");
	if (rows.childElementCount === 0) return [p("muted", "Nothing was sent yet, or nothing matches.")];
	return [table("Deliveries, newest first", DELIVERIES, rows), more];
}
