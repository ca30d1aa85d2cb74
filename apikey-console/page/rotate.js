/** Rotation: a new secret, and how long the old one lives on. */

import { ask } from "./dialog.js";
import { div, el, p, theirs } from "./dom.js";
import { group } from "./form.js";
import { button } from "./parts.js";
import { showSecret } from "./secret.js";
import { ago, DAY, exactly, HOUR, MINUTE } from "./time.js";

/** @type {[string, number | null][]} */
const OVERLAPS = [
	["None", 0],
	["15 minutes", 15 * MINUTE],
	["1 hour", HOUR],
	["24 hours", DAY],
	["7 days", 7 * DAY],
	["Until I end it", null],
];

const USUAL = DAY;

/** Asks how to rotate a key, does it, and shows the new secret. @param {Context} ctx @param {ApiKey} key */
export async function rotate(ctx, key) {
	const older = key.secrets.length > 1;
	const content = [
		p(
			"",
			"The key gets a new secret, and keeps its id, scopes and history. Programs that use it need the new secret before the old one ends.",
		),
		older && p("notice warn", "An earlier rotation is still under way. Its old secret ends now."),
		await overlapChoice(ctx, "How long does the old secret still work?"),
	];
	ask(ctx, "Rotate key", "Rotate key", content, async (form, close) => {
		const made = await ctx.call("POST", `api-keys/${key.id}/rotate`, { body: overlap(form) });
		close();
		await showSecret(ctx, made, "Key rotated");
		ctx.say("The key was rotated.", made);
		await ctx.reload();
	});
}

/** The overlap that a form has, as the API takes it. @param {HTMLFormElement} form */
export function overlap(form) {
	const chosen = new FormData(form).get("overlap");
	return { overlap_seconds: chosen === "null" ? null : Number(chosen) };
}

/** What the plan allows. @param {Context} ctx @param {string} legend */
export async function overlapChoice(ctx, legend) {
	return overlapUpTo(legend, (await ctx.call("GET", "limits")).longest_overlap_seconds ?? Infinity);
}

/** @param {string} legend @param {number} longest In seconds. */
export function overlapUpTo(legend, longest) {
	const now = Date.now();
	const choices = OVERLAPS.filter(([, seconds]) => (seconds ?? Infinity) <= longest).map(([label, seconds]) => {
		const checked = seconds === (longest < USUAL ? 0 : USUAL);
		const input = el("input", { type: "radio", name: "overlap", value: String(seconds), checked });
		return el("label", "choice", input, el("span", {}, label), el("span", "about", consequence(seconds, now)));
	});
	return group("overlap_seconds", legend, div("choices", choices));
}

/** @param {number | null} seconds @param {number} now */
function consequence(seconds, now) {
	if (seconds === null) return "The old secret works until you end it on the key's page.";
	if (seconds === 0) return "The old secret stops working at once. For a secret that leaked.";
	return `The old secret stops working on ${exactly(now + seconds * 1_000)}.`;
}

/**
 * A key's secrets that are accepted, and the end of an overlap.
 * @param {Context} ctx @param {ApiKey} key @param {boolean} mayChange
 */
export function secrets(ctx, key, mayChange) {
	const end = async () => {
		ctx.say("The old secret was ended.", await ctx.call("POST", `api-keys/${key.id}/end-overlap`));
		await ctx.reload();
	};
	const [newest, ...older] = key.secrets;
	return el(
		"ul",
		"secrets",
		newest &&
			el(
				"li",
				{},
				div("", el("strong", {}, "Current secret "), el("code", {}, theirs(key.hint))),
				p(
					"muted",
					"Made ",
					ago(newest.created_at),
					newest.last_used_at ? ["; last used ", ago(newest.last_used_at)] : "; never used",
					newest.ends_at ? ["; ends ", ago(newest.ends_at)] : null,
				),
			),
		older.map((secret) =>
			el(
				"li",
				{},
				div("", el("strong", {}, "Old secret"), mayChange && button("End it now", end, "small danger")),
				p(
					"muted",
					secret.last_used_at ? ["Last used ", ago(secret.last_used_at)] : "Not used since it is counted",
					secret.superseded_at && ["; replaced ", ago(secret.superseded_at)],
					secret.ends_at
						? ["; stops working on ", exactly(secret.ends_at), " (", ago(secret.ends_at), ")"]
						: "; works until you end it",
				),
			),
		),
		key.secrets.length === 0 && el("li", {}, p("muted", "No secret of this key is accepted.")),
	);
}
