/** Ends many keys: shows what that hits, does it step by step, and sums up. */

import { openDialog } from "./dialog.js";
import { el, nodes } from "./dom.js";
import { field, onSubmit } from "./form.js";
import { button, failure } from "./parts.js";
import { href } from "./router.js";

/** How many names a preview has. */
const SHOWN = 20;

/** How many previews are asked for at the same time. */
const AT_ONCE = 6;

/** @typedef {{key_id: string} | {created_by: string}} Selection As `bulk-revoke` takes it. */
/** @typedef {{ids: string[], rotated: string[], widened: string[], remaining: number}} Reach */

/**
 * Somebody leaves: ends what they created, and what came of it.
 *
 * @param {Context} ctx
 */
export async function someoneLeft(ctx) {
	const actors = await known(ctx);
	const labels = actors.map((actor) => el("option", { value: actor }, ctx.people.actor(actor).textContent));
	const who = el("select", {}, labels);
	// Names of keys come later than the keys.
	for (const [index, actor] of actors.entries()) {
		if (actor.startsWith("key:"))
			ctx.people.name(actor.slice(4)).then((/** @type {string | null} */ name) => {
				const label = labels[index];
				if (label) label.textContent = name ? `${name} (key)` : actor;
			});
	}
	const form = el(
		"form",
		{ class: "form" },
		el("p", {}, "Ends the keys that somebody created, and the secrets that they got by rotating keys."),
		field("created_by", "Who left?", who, "Everybody who created, rotated or changed something lately."),
		el("p", { class: "form-error", role: "alert" }),
		el(
			"div",
			{ class: "actions" },
			el("button", { class: "button primary", type: "submit" }, "Show what they made"),
			button("Cancel", () => close()),
		),
	);
	const { close } = openDialog(ctx, "Somebody left", [form]);
	onSubmit(form, async () => {
		close();
		const label = who.selectedOptions[0]?.textContent ?? who.value;
		end(ctx, `Everything that ${label} made`, [{ created_by: who.value }], true);
	});
}

/**
 * Who has done something: from the newest keys and the newest events. The caller comes last.
 *
 * @param {Context} ctx
 * @returns {Promise<string[]>}
 */
async function known(ctx) {
	const [keys, events] = await Promise.all([
		ctx.call("GET", "api-keys", { query: { limit: "200" } }),
		ctx.call("GET", "audit-events", { query: { limit: "200" } }),
	]);
	ctx.people.know(keys.items);
	const found = new Set([
		...keys.items.map((/** @type {ApiKey} */ key) => key.created_by),
		...events.items.map((/** @type {AuditEvent} */ event) => event.actor),
	]);
	found.delete(ctx.caller.actor);
	return [...found, ctx.caller.actor];
}

/** @param {Context} ctx @param {string} title @param {Selection[]} selections @param {boolean} withDescendants */
export function end(ctx, title, selections, withDescendants) {
	const box = el("input", { type: "checkbox", checked: withDescendants });
	const reason = el("input", { type: "text", autocomplete: "off", placeholder: "Such as: left the company" });
	const typed = el("input", { type: "text", autocomplete: "off", inputmode: "numeric" });
	const preview = el("div", { class: "form", "aria-live": "polite" });
	const submit = el("button", { class: "button danger solid", type: "submit", disabled: true }, "Revoke");
	const form = el(
		"form",
		{ class: "form", novalidate: true },
		preview,
		el(
			"label",
			{ class: "choice" },
			box,
			el("span", {}, "Also what these keys made: keys that they created, and secrets that they got by rotating keys"),
		),
		field("reason", "Reason", reason, "For the audit trail."),
		field("count", "Type the number of keys to confirm", typed),
		el("p", { class: "form-error", role: "alert" }),
		el(
			"div",
			{ class: "actions" },
			submit,
			button("Cancel", () => close()),
		),
	);
	let isDone = true;
	const { dialog, close } = openDialog(ctx, title, [form], { class: "wide", mayClose: () => isDone });
	let count = 0;
	const look = async () => {
		submit.disabled = true;
		preview.replaceChildren(el("p", { class: "muted" }, "Looking what this hits…"));
		try {
			const reach = await previewed(ctx, selections, box.checked);
			count = reach.ids.length + reach.remaining;
			preview.replaceChildren(...nodes(described(ctx, reach, count)));
			submit.textContent = count === 1 ? "Revoke 1 key" : `Revoke ${count} keys`;
			submit.disabled = count + reach.rotated.length === 0;
		} catch (error) {
			preview.replaceChildren(failure(error, look));
		}
	};
	box.addEventListener("change", look);
	onSubmit(form, async () => {
		if (!reason.value.trim()) throw new Error("Say why, for those who read the audit trail.");
		if (Number(typed.value.replace(/\D/g, "") || NaN) !== count) throw new Error(`Type ${count} to confirm.`);
		isDone = false;
		await steps(ctx, dialog, form, selections, { descendants: box.checked, reason: reason.value.trim() }, count);
		isDone = true;
	});
	look();
}

/** @param {Context} ctx @param {Selection[]} selections @param {boolean} descendants @returns {Promise<Reach>} */
async function previewed(ctx, selections, descendants) {
	const all = reach();
	for (let from = 0; from < selections.length; from += AT_ONCE) {
		const asked = selections
			.slice(from, from + AT_ONCE)
			.map((selection) =>
				ctx.call("POST", "api-keys/bulk-revoke", { body: { ...selection, descendants, dry_run: true } }),
			);
		for (const found of await Promise.all(asked)) add(all, found);
	}
	return all;
}

/** @returns {Reach} */
function reach() {
	return { ids: [], rotated: [], widened: [], remaining: 0 };
}

/** @param {Reach} all @param {Reach} found */
function add(all, found) {
	for (const name of /** @type {const} */ (["ids", "rotated", "widened"]))
		all[name] = [...new Set([...all[name], ...found[name]])];
	all.remaining += found.remaining;
}

/** @param {Context} ctx @param {Reach} reach @param {number} count */
function described(ctx, { ids, rotated, widened }, count) {
	if (count + rotated.length === 0) return [el("p", {}, "Nothing: no key is left to revoke.")];
	return [
		el("p", {}, el("strong", {}, `${count}`), count === 1 ? " key will be revoked:" : " keys will be revoked:"),
		names(ctx, ids, count),
		ids.includes(ctx.caller.key?.id ?? "") &&
			el("p", { class: "notice warn" }, "Among them is the key that you are signed in with. It is revoked last."),
		rotated.length > 0 && [
			el("p", {}, `${rotated.length} stay, and lose a secret that one of these got by rotating them:`),
			names(ctx, rotated, rotated.length),
		],
		widened.length > 0 && [
			el("p", {}, `${widened.length} stay, and were given more rights by one of these. Review them:`),
			names(ctx, widened, widened.length),
		],
	].flat();
}

/** @param {Context} ctx @param {string[]} ids @param {number} count */
function names(ctx, ids, count) {
	const shown = ids.slice(0, SHOWN).map((id) => el("li", {}, ctx.people.key(id)));
	return el("ul", { class: "names" }, shown, count > shown.length && el("li", {}, `and ${count - shown.length} more`));
}

/**
 * @param {Context} ctx
 * @param {HTMLDialogElement} dialog
 * @param {HTMLFormElement} form
 * @param {Selection[]} selections
 * @param {{descendants: boolean, reason: string}} how
 * @param {number} count
 */
async function steps(ctx, dialog, form, selections, how, count) {
	const left = [...selections];
	const done = reach();
	/** @type {string | null} */
	let next = null;
	const bar = el("progress", { max: Math.max(1, count), value: 0, "aria-label": "Keys revoked" });
	const text = el("p", { role: "status" });
	const place = el("div", { class: "form" }, text, bar);
	form.replaceWith(place);
	const run = async () => {
		place.replaceChildren(text, bar);
		for (; left.length > 0; next === null && left.shift()) {
			const step = await ctx.call("POST", "api-keys/bulk-revoke", { body: { ...left[0], ...how, next } });
			next = step.next ?? null;
			add(done, { ...step, remaining: 0 });
			bar.value = done.ids.length;
			text.textContent = `${done.ids.length} of ${count} revoked…`;
		}
	};
	await new Promise((resolve) => {
		const attempt = () =>
			run().then(resolve, (error) => {
				const said = `${done.ids.length} of ${count} were revoked, and stay so.`;
				place.replaceChildren(el("p", {}, said), failure(error, attempt));
			});
		attempt();
	});
	const finish = () => {
		dialog.close();
		ctx.reload();
	};
	const links = (/** @type {string[]} */ ids) =>
		el(
			"ul",
			{ class: "names" },
			ids.map((id) =>
				el("li", {}, el("a", { href: href(["keys", id]), onclick: () => dialog.close() }, ctx.people.key(id))),
			),
		);
	place.replaceChildren(
		...nodes([
			el("p", { role: "status" }, `${done.ids.length} ${done.ids.length === 1 ? "key was" : "keys were"} revoked.`),
			done.rotated.length > 0 &&
				el("p", {}, `${done.rotated.length} lost a secret, and need a rotation if a program used it:`),
			done.rotated.length > 0 && links(done.rotated),
			done.widened.length > 0 && el("p", {}, "These got more rights from a key that was revoked. Review them:"),
			done.widened.length > 0 && links(done.widened),
			button("Close", finish, { class: "button primary" }),
		]),
	);
	/** @type {HTMLElement | null} */ (place.querySelector("button"))?.focus();
}
