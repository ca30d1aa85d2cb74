/** Changing a key. What somebody else changed meanwhile is shown, and nothing of theirs is overwritten unseen. */

import { Problem } from "./api.js";
import { div, el, p, theirs } from "./dom.js";
import { expiry, scopeChoice, texts } from "./fields.js";
import { formOf } from "./form.js";
import { button, head, link, trail } from "./parts.js";
import { go, href } from "./router.js";
import { shown } from "./words.js";

/** @param {Context} ctx @param {string} id */
export async function showEdit(ctx, id) {
	const path = `api-keys/${encodeURIComponent(id)}`;
	const [key, limits, catalog] = await Promise.all([
		ctx.call("GET", path),
		ctx.call("GET", "limits"),
		ctx.call("GET", "scopes"),
	]);
	/** What the form was filled from: the next change is made to this version. */
	let before = key;
	const about = texts(key);
	const end = expiry(ctx.caller, limits, key.expires_at);
	const scopes = scopeChoice(ctx.caller, catalog, key.scopes);
	const conflict = el("div", { class: "conflict", role: "alert" });
	const save = async () => {
		const patch = changed(key, { ...about.value(), scopes: scopes.value(), expires_at: end.value() });
		if (Object.keys(patch).length === 0) return go(href(["keys", id]));
		try {
			await ctx.call("PATCH", path, { body: patch, etag: `"${before.version}"` });
		} catch (error) {
			if (!(error instanceof Problem && error.code === "stale_version")) throw error;
			const theirsNow = await ctx.call("GET", path);
			conflict.replaceChildren(told(before, theirsNow, patch, () => ctx.reload()));
			before = theirsNow;
			return;
		}
		ctx.say("The key was changed.");
		go(href(["keys", id]));
	};
	const cancel = link(["keys", id], "Cancel", "button");
	const fields = [...about.nodes, end.node, scopes.node, conflict];
	const form = formOf(fields, "Save changes", save, cancel, { look: "panel form keeps" });
	const content = div(
		"page narrow",
		trail(link(["keys"], "API keys"), link(["keys", id], theirs(key.name))),
		head(["Edit ", theirs(key.name)], null),
		form,
	);
	return { title: `Edit ${key.name}`, content: [content] };
}

/** The fields that differ from what they were. @param {ApiKey} before @param {Record<string, any>} after */
function changed(before, after) {
	return Object.fromEntries(
		Object.entries(after).filter(([name, value]) => {
			const old = /** @type {Record<string, unknown>} */ (before)[name];
			return value !== undefined && shown(sorted(value)) !== shown(sorted(old));
		}),
	);
}

/** @param {unknown} value */
function sorted(value) {
	return Array.isArray(value) ? [...value].sort() : value;
}

/**
 * What somebody else did meanwhile, and the two ways on.
 * @param {ApiKey} before @param {ApiKey} now @param {Record<string, unknown>} mine @param {() => void} reload
 */
function told(before, now, mine, reload) {
	const fields = /** @type {[keyof ApiKey, string][]} */ ([
		["name", "Name"],
		["description", "Description"],
		["scopes", "Scopes"],
		["expires_at", "Expires"],
		["status", "Status"],
	]);
	const differing = fields.filter(([name]) => shown(before[name]) !== shown(now[name]));
	return div(
		"notice warn",
		p("", el("strong", {}, "Somebody else changed this key while you were editing it. Nothing was saved.")),
		el(
			"dl",
			{},
			differing.flatMap(([name, label]) => [
				el("dt", {}, label),
				el(
					"dd",
					{},
					"was ",
					theirs(shown(before[name])),
					", is now ",
					theirs(shown(now[name])),
					name in mine && el("strong", {}, "; you want ", theirs(shown(mine[name]))),
				),
			]),
			differing.length === 0 && [el("dt", {}, "Its secrets or its notes")],
		),
		p("", "Save again to make your changes to the key as it is now: only the fields that you changed are written."),
		button("Drop my changes", reload, "small"),
	);
}
