/** The end of a key, in two stages: it is revoked, and may then be deleted. */

import { Problem } from "./api.js";
import { ask } from "./dialog.js";
import { el, theirs } from "./dom.js";
import { field } from "./form.js";
import { go, href } from "./router.js";
import { lastUsed } from "./time.js";

/**
 * Asks for a reason and the key's name, and revokes it.
 *
 * @param {Context} ctx
 * @param {ApiKey} key
 */
export function revoke(ctx, key) {
	const reason = el("input", {
		type: "text",
		autocomplete: "off",
		placeholder: "Such as: leaked, or not needed any more",
	});
	const typed = el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
	const requests = el("strong", {}, "…");
	const content = [
		el("p", {}, "The key is refused from now on, and requests under way with it end. This can't be undone."),
		el(
			"dl",
			{ class: "facts" },
			el("div", {}, el("dt", {}, "Last used"), el("dd", {}, lastUsed(key.last_used_at ?? null))),
			el("div", {}, el("dt", {}, "Requests in 24 hours"), el("dd", {}, requests)),
		),
		key.id === ctx.caller.key?.id &&
			el("p", { class: "notice warn" }, "You are signed in with this key. Revoking it signs you out."),
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
		await ctx.call("POST", `api-keys/${key.id}/revoke`, { body: { reason: reason.value.trim() } });
		ctx.say("The key was revoked.");
		await ctx.reload();
	};
	ask(ctx, "Revoke key", "Revoke key", content, action, "danger solid");
}

/**
 * Deletes a key that was revoked.
 *
 * @param {Context} ctx
 * @param {ApiKey} key
 */
export function remove(ctx, key) {
	const text = [el("strong", {}, theirs(key.name)), " disappears from the list. Its history and its usage stay."];
	const action = async () => {
		await ctx.call("DELETE", `api-keys/${key.id}`);
		ctx.say("The key was deleted.");
		go(href(["keys"]));
	};
	ask(ctx, "Delete key", "Delete key", [el("p", {}, text)], action, "danger solid");
}
