/** Changes of several keys: what they hit is shown first, then they are made step by step, and summed up. */

import { openDialog } from "./dialog.js";
import { div, el, fill, p } from "./dom.js";
import { formOf } from "./form.js";
import { button, failure } from "./parts.js";
import { isOver, reached } from "./words.js";

/** How many names a preview has. */
const SHOWN = 20;

/**
 * Disables or enables keys, which can be taken back.
 * @param {Context} ctx @param {ApiKey[]} selected @param {"disable" | "enable"} verb
 */
export function turn(ctx, selected, verb) {
	const isOff = verb === "disable";
	const hit = selected.filter((key) => !isOver(key) && !key.disabled_at === isOff);
	const ids = hit.map(({ id }) => id);
	const rest = selected.length - hit.length;
	const word = isOff ? "Disable" : "Enable";
	const past = `${verb}d`;
	const content = [
		hit.length > 0 && [
			p("", el("strong", {}, keys(hit.length)), ` will be ${isOff ? "refused until enabled again" : "let in again"}:`),
			names(ctx, ids, ids.length),
		],
		rest > 0 && p("", `${keys(rest)} can't be ${past}, or already ${rest === 1 ? "is" : "are"}.`),
	].flat();
	const { dialog, form, submit } = plan(ctx, `${word} the selected keys`, content, "primary", async () => {
		/** @type {Changed[]} */
		const answers = [];
		const place = await steps(form, hit.length, past, async () => {
			if (answers.length === ids.length) return null;
			return answers.push(await ctx.call("POST", `api-keys/${ids[answers.length]}/${verb}`));
		});
		summed(ctx, dialog, place, [`${were(hit.length)} ${past}.${reached(...answers)}`]);
	});
	submit.textContent = `${word} ${keys(hit.length)}`;
	submit.disabled = hit.length === 0;
}

/**
 * A dialog that says what will be done, and stays while it is done.
 * @param {Context} ctx @param {string} title @param {Child[]} content @param {string} tone
 * @param {() => Promise<void>} action
 */
export function plan(ctx, title, content, tone, action) {
	let isDone = true;
	const run = async () => {
		isDone = false;
		await action().finally(() => {
			isDone = true;
		});
	};
	const cancel = button("Cancel", () => close());
	const form = formOf(content, "Revoke", run, cancel, { tone });
	const { dialog, close } = openDialog(ctx, title, [form], { class: "wide", mayClose: () => isDone });
	return { dialog, form, submit: /** @type {HTMLButtonElement} */ (form.querySelector("[type=submit]")) };
}

/** @param {number} count */
export function keys(count) {
	return count === 1 ? "1 key" : `${count} keys`;
}

/** @param {number} count */
export function were(count) {
	return `${keys(count)} ${count === 1 ? "was" : "were"}`;
}

/** @param {Context} ctx @param {string[]} ids @param {number} count */
export function names(ctx, ids, count) {
	const shown = ids.slice(0, SHOWN).map((id) => el("li", {}, ctx.people.key(id)));
	return el("ul", "names", shown, count > shown.length && el("li", {}, `and ${count - shown.length} more`));
}

/**
 * Does one step after the other, in place of the form. A step that fails can be tried again.
 * @param {HTMLFormElement} form @param {number} count @param {string} past What is done to the keys.
 * @param {() => Promise<number | null>} step Tells how many keys are done, or null once all are.
 */
export async function steps(form, count, past, step) {
	const bar = el("progress", { max: Math.max(1, count), value: 0, "aria-label": `Keys ${past}` });
	const text = el("p", { role: "status" });
	const place = div("form");
	form.replaceWith(place);
	let done = 0;
	const run = async () => {
		place.replaceChildren(text, bar);
		for (let now = await step(); now !== null; now = await step()) {
			done = now;
			bar.value = done;
			text.textContent = `${done} of ${count} ${past}…`;
		}
	};
	await new Promise((resolve) => {
		const attempt = () =>
			run().then(resolve, (error) => {
				place.replaceChildren(p("", `${done} of ${count} were ${past}, and stay so.`), failure(error, attempt));
				place.querySelector("button")?.focus();
			});
		attempt();
	});
	return place;
}

/**
 * What was done, and the way on.
 * @param {Context} ctx @param {HTMLDialogElement} dialog @param {HTMLElement} place @param {Children[]} content
 */
export function summed(ctx, dialog, place, [first, ...rest]) {
	const close = button(
		"Close",
		() => {
			dialog.close();
			return ctx.reload();
		},
		"primary",
	);
	fill(place, el("p", { role: "status" }, first), ...rest, close);
	close.focus();
}
