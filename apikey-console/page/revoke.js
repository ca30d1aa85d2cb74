/**
 * The end of keys: one in two stages, which is revoked and may then be deleted; several, or everything that somebody who
 * leaves has made, revoked step by step.
 */

import { Problem } from "./api.js";
import { keys, names, plan, steps, summed, were } from "./bulk.js";
import { ask } from "./dialog.js";
import { div, el, fill, p, theirs } from "./dom.js";
import { field } from "./form.js";
import { failure } from "./parts.js";
import { go, href } from "./router.js";
import { lastUsed } from "./time.js";
import { reached } from "./words.js";

/** Asks for a reason and the key's name, and revokes it. @param {Context} ctx @param {ApiKey} key */
export function revoke(ctx, key) {
	const reason = el("input", {
		type: "text",
		autocomplete: "off",
		placeholder: "Such as: leaked, or not needed any more",
	});
	const typed = el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
	const requests = el("strong", {}, "…");
	const content = [
		p("", "The key is refused from now on, and requests under way with it end. This can't be undone."),
		el(
			"dl",
			"facts",
			div("", el("dt", {}, "Last used"), el("dd", {}, lastUsed(key.last_used_at ?? null))),
			div("", el("dt", {}, "Requests in 24 hours"), el("dd", {}, requests)),
		),
		key.id === ctx.caller.key?.id && p("notice warn", "You are signed in with this key. Revoking it signs you out."),
		field("reason", "Reason", reason, "For the audit trail."),
		field(
			"confirmation",
			`Type the key's name to confirm`,
			typed,
			el("span", {}, "The name is ", el("strong", {}, theirs(key.name)), "."),
		),
	];
	ctx.call("GET", `api-keys/${key.id}/usage`).then(
		(/** @type {Usage} */ { ok, refused }) => {
			requests.textContent = (ok + refused).toLocaleString("en");
		},
		() => {
			requests.textContent = "not known";
		},
	);
	const action = async () => {
		const errors = [];
		if (!reason.value.trim())
			errors.push({ field: "reason", code: "required", message: "say why, for those who read the audit trail" });
		if (typed.value.trim() !== key.name.trim())
			errors.push({ field: "confirmation", code: "mismatch", message: "this is not the key's name" });
		if (errors.length > 0) throw new Problem(422, "invalid", "", errors);
		const body = { reason: reason.value.trim() };
		ctx.say("The key was revoked.", await ctx.call("POST", `api-keys/${key.id}/revoke`, { body }));
		await ctx.reload();
	};
	ask(ctx, "Revoke key", "Revoke key", content, action, "danger solid");
}

/** Deletes a key that was revoked. @param {Context} ctx @param {ApiKey} key */
export function remove(ctx, key) {
	const text = [el("strong", {}, theirs(key.name)), " disappears from the list. Its history and its usage stay."];
	const action = async () => {
		ctx.say("The key was deleted.", await ctx.call("DELETE", `api-keys/${key.id}`));
		go(href(["keys"]));
	};
	ask(ctx, "Delete key", "Delete key", [p("", text)], action, "danger solid");
}

/** Somebody leaves: ends what they created, and what came of it. @param {Context} ctx */
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
	const content = [
		p("", "Ends the keys that somebody created, and the secrets that they got by rotating keys."),
		field("created_by", "Who left?", who, "Everybody who created, rotated or changed something lately."),
	];
	ask(ctx, "Somebody left", "Show what they made", content, async (_, close) => {
		close();
		const label = who.selectedOptions[0]?.textContent ?? who.value;
		end(ctx, `Everything that ${label} made`, [{ created_by: who.value }], true, true);
	});
}

/**
 * Who has done something: from the newest keys and the newest events. The caller comes last.
 * @param {Context} ctx @returns {Promise<string[]>}
 */
async function known(ctx) {
	const [keys, events] = await Promise.all([
		ctx.call("GET", "api-keys", { query: { limit: "200" } }),
		ctx.call("GET", "audit-events", { query: { limit: "200" } }),
	]);
	ctx.people.know(keys.items);
	const found = new Set([...keys.items.map((key) => key.created_by), ...events.items.map((event) => event.actor)]);
	found.delete(ctx.caller.actor);
	return [...found, ctx.caller.actor];
}

/**
 * @param {Context} ctx @param {string} title @param {Selected[]} selections @param {boolean} withDescendants
 * @param {boolean} [isPerson] The machines may stay.
 */
export function end(ctx, title, selections, withDescendants, isPerson = false) {
	const box = el("input", { type: "checkbox", checked: withDescendants });
	const kept = el("input", { type: "checkbox" });
	const reason = el("input", { type: "text", autocomplete: "off", placeholder: "Such as: left the company" });
	const typed = el("input", { type: "text", autocomplete: "off", inputmode: "numeric" });
	const preview = el("div", { class: "form", "aria-live": "polite" });
	const content = [
		preview,
		el(
			"label",
			"choice",
			box,
			el("span", {}, "Also what these keys made: keys that they created, and secrets that they got by rotating keys"),
		),
		isPerson && el("label", "choice", kept, el("span", {}, "Keep the keys of service accounts")),
		field("reason", "Reason", reason, "For the audit trail."),
		field("count", "Type the number of keys to confirm", typed),
	];
	let count = 0;
	const extent = () => ({ descendants: box.checked, keep_accounts: kept.checked });
	// What the preview shows, which is what is revoked. A preview that another choice has overtaken is not shown.
	let shown = extent();
	let looks = 0;
	const { dialog, form, submit } = plan(ctx, title, content, "danger solid", async () => {
		if (!reason.value.trim()) throw new Error("Say why, for those who read the audit trail.");
		if (Number(typed.value.replace(/\D/g, "") || NaN) !== count) throw new Error(`Type ${count} to confirm.`);
		const how = { ...shown, reason: reason.value.trim() };
		await revokeAll(ctx, dialog, form, selections, how, count);
	});
	const again = async () => {
		const look = ++looks;
		const asked = extent();
		submit.disabled = true;
		preview.replaceChildren(p("muted", "Looking what this hits…"));
		try {
			const reach = await previewed(ctx, selections, asked);
			if (look !== looks) return;
			shown = asked;
			count = reach.ids.length + reach.remaining;
			fill(preview, ...described(ctx, reach, count));
			submit.textContent = `Revoke ${keys(count)}`;
			submit.disabled = count + reach.rotated.length === 0;
		} catch (error) {
			if (look === looks) preview.replaceChildren(failure(error, again));
		}
	};
	for (const choice of [box, kept]) choice.addEventListener("change", again);
	again();
}

/**
 * @typedef {{descendants: boolean, keep_accounts: boolean}} Extent
 * @param {Context} ctx @param {Selected[]} selections @param {Extent} extent @returns {Promise<Reach>}
 */
async function previewed(ctx, selections, extent) {
	const all = reach();
	for (const selection of selections)
		add(all, await ctx.call("POST", "api-keys/bulk-revoke", { body: { ...selection, ...extent, dry_run: true } }));
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
	if (count + rotated.length === 0) return [p("", "Nothing: no key is left to revoke.")];
	return [
		p("", el("strong", {}, keys(count)), " will be revoked:"),
		names(ctx, ids, count),
		ids.includes(ctx.caller.key?.id ?? "") &&
			p("notice warn", "Among them is the key that you are signed in with. It is revoked last."),
		rotated.length > 0 && [
			p("", `${rotated.length} stay, and lose a secret that one of these got by rotating them:`),
			names(ctx, rotated, rotated.length),
		],
		widened.length > 0 && [
			p("", `${widened.length} stay, and were given more rights by one of these. Review them:`),
			names(ctx, widened, widened.length),
		],
	].flat();
}

/**
 * @param {Context} ctx @param {HTMLDialogElement} dialog @param {HTMLFormElement} form @param {Selected[]} selections
 * @param {Extent & {reason: string}} how @param {number} count
 */
async function revokeAll(ctx, dialog, form, selections, how, count) {
	const left = [...selections];
	const done = reach();
	/** @type {Changed[]} */
	const answers = [];
	/** @type {string | null} */
	let next = null;
	const place = await steps(form, count, "revoked", async () => {
		if (left.length === 0) return null;
		const step = await ctx.call("POST", "api-keys/bulk-revoke", { body: { ...left[0], ...how, next } });
		answers.push(step);
		next = step.next ?? null;
		if (next === null) left.shift();
		add(done, { ...step, remaining: 0 });
		return done.ids.length;
	});
	/** @param {string[]} ids @param {string} text */
	const links = (ids, text) =>
		ids.length > 0 && [
			p("", text),
			el(
				"ul",
				"names",
				ids.map((id) =>
					el("li", {}, el("a", { href: href(["keys", id]), onclick: () => dialog.close() }, ctx.people.key(id))),
				),
			),
		];
	const { ids, rotated, widened } = done;
	summed(ctx, dialog, place, [
		`${were(ids.length)} revoked.${reached(...answers)}`,
		links(rotated, `${rotated.length} lost a secret, and need a rotation if a program used it:`),
		links(widened, "These got more rights from a key that was revoked. Review them:"),
	]);
}
