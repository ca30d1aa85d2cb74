/** From when on an organization is told of its keys. Who may not change that sees it. */

import { Problem } from "./api.js";
import { div, el, p } from "./dom.js";
import { field, formOf } from "./form.js";
import { details, head, link, panel, trail } from "./parts.js";
import { go, href } from "./router.js";
import { can } from "./scopes.js";

/** @type {[keyof AlertSettings, string, string][]} The field, what it is called, and what it does. */
const FIELDS = [
	["expiring_days", "Days before a key expires", "Up to five numbers, such as “7, 1”: one alert each. Empty for none."],
	["unused_days", "Days without use", "A key that is not used for so long. Empty for never."],
	["rotation_days", "Days until a rotation is due", "The age of a key's newest secret. Empty for never."],
	[
		"spike_factor",
		"Times as often as usual",
		"An hour of so many times the median of a week is unusual. Empty for never.",
	],
	["spike_minimum", "Least requests of an unusual hour", "Hours with fewer requests are never unusual."],
];

/** @param {Context} ctx */
export async function showSettings(ctx) {
	const settings = await ctx.alerts.settings();
	const content = div(
		"page narrow",
		trail(link(["alerts"], "Alerts")),
		head("Alert settings", "From when on there is an alert."),
		can(ctx.caller, "keys:admin") ? form(ctx, settings) : panel("Thresholds", ...shown(settings)),
	);
	return { title: "Alert settings", content: [content] };
}

/** @param {AlertSettings} settings */
function shown(settings) {
	/** @param {number | null | undefined} value */
	const text = (value) => (value === null || value === undefined ? "Never" : value.toLocaleString("en"));
	return [
		details(
			FIELDS.map(([name, label]) => {
				const value = settings[name];
				return [label, Array.isArray(value) ? value.join(", ") || "Never" : text(value)];
			}),
		),
		p("more muted", "Whoever has the scope keys:admin may change them."),
	];
}

/** @param {Context} ctx @param {AlertSettings} settings */
function form(ctx, settings) {
	const inputs = FIELDS.map(([name, label, hint]) => {
		const value = settings[name];
		const text = Array.isArray(value) ? value.join(", ") : String(value ?? "");
		const inputmode = Array.isArray(value) ? "text" : "numeric";
		const input = el("input", { type: "text", inputmode, autocomplete: "off", value: text });
		return { name, input, node: field(name, label, input, hint) };
	});
	const save = async () => {
		/** @type {FieldProblem[]} */
		const errors = [];
		/** @param {string} name @param {string} text */
		const number = (name, text) => {
			if (!/^\d+$/.test(text)) errors.push({ field: name, code: "invalid", message: "whole numbers only" });
			return Number(text);
		};
		const entries = inputs.map(({ name, input }) => {
			const text = input.value.replace(/[\s,]+/g, " ").trim();
			if (name === "expiring_days") return [name, text ? text.split(" ").map((one) => number(name, one)) : []];
			const plain = text.replaceAll(" ", "");
			return [name, plain || name === "spike_minimum" ? number(name, plain) : null];
		});
		if (errors.length > 0) throw new Problem(422, "invalid", "", errors);
		await ctx.call("PATCH", "alert-settings", { body: Object.fromEntries(entries) });
		ctx.say("The settings were saved.");
		go(href(["alerts"]));
	};
	const nodes = inputs.map(({ node }) => node);
	return formOf(nodes, "Save settings", save, link(["alerts"], "Cancel", "button"), { look: "panel form keeps" });
}
