/** Signing in with a key. */

import { call, Problem } from "./api.js";
import { div, el, p } from "./dom.js";
import { field, formOf } from "./form.js";

/**
 * The form that asks for a key.
 * @param {string} heading What the service is called. @param {string} why Said above the form.
 * @param {() => Promise<void>} then
 */
export function signIn(heading, why, then) {
	const input = el("input", {
		type: "password",
		autocomplete: "current-password",
		autocapitalize: "off",
		spellcheck: "false",
		required: true,
	});
	const content = [
		el("h1", {}, heading ? `Sign in to ${heading}` : "Sign in"),
		why && p("notice", why),
		// Password managers store a password under a name.
		el("input", { type: "text", autocomplete: "username", value: "API key", hidden: true, tabindex: "-1" }),
		field("key", "API key", input, "A key that may see or manage API keys. You stay signed in for up to 8 hours."),
	];
	const help = el(
		"details",
		{},
		el("summary", {}, "Where do I find a key?"),
		p(
			"",
			"The service printed its first key when it was first started. Otherwise, ask whoever manages its keys for one with the scope ",
			el("code", {}, "keys:read"),
			", or ",
			el("code", {}, "keys:admin"),
			" to manage everything.",
		),
	);
	const submit = async () => {
		try {
			if (!input.value.trim()) throw new Problem(422, "invalid", "");
			await call("POST", "session", { body: { key: input.value.trim() } });
			input.value = "";
			await then();
		} catch (problem) {
			input.setAttribute("aria-invalid", "true");
			input.focus();
			input.select();
			throw new Error(explained(problem));
		}
	};
	return div("sign-in", formOf(content, "Sign in", submit, help, { tone: "primary wide", look: "panel" }));
}

/** @param {unknown} problem */
function explained(problem) {
	if (!(problem instanceof Problem)) return "Something went wrong. Try again.";
	if (problem.code === "invalid") return "Enter an API key.";
	if (problem.code === "cross_origin" && !window.isSecureContext) {
		return "The connection is not encrypted, so nobody can sign in here. Open this page over https, or on the machine itself at 127.0.0.1.";
	}
	if (problem.status === 400 || problem.status === 401)
		return "This key isn't accepted. It may be mistyped, expired or revoked.";
	return problem.message;
}
