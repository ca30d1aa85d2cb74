/** Signing in with a key. */

import { call, Problem } from "./api.js";
import { el, uniqueId } from "./dom.js";

/**
 * The form that asks for a key.
 *
 * @param {string} heading What the service is called.
 * @param {string} why Said above the form.
 * @param {() => Promise<void>} then
 */
export function signIn(heading, why, then) {
	const id = uniqueId("key");
	const field = el("input", {
		id,
		type: "password",
		autocomplete: "current-password",
		autocapitalize: "off",
		spellcheck: "false",
		required: true,
		"aria-describedby": `${id}-hint ${id}-error`,
	});
	const error = el("p", { class: "error", id: `${id}-error`, role: "alert" });
	const submit = el("button", { class: "button primary wide", type: "submit" }, "Sign in");
	const form = el(
		"form",
		{ class: "panel", novalidate: true },
		el("h1", {}, heading ? `Sign in to ${heading}` : "Sign in"),
		why && el("p", { class: "notice" }, why),
		el(
			"div",
			{ class: "field" },
			el("label", { for: id }, "API key"),
			// Password managers store a password under a name.
			el("input", { type: "text", autocomplete: "username", value: "API key", hidden: true, tabindex: "-1" }),
			field,
			el(
				"p",
				{ class: "hint", id: `${id}-hint` },
				"A key that may see or manage API keys. You stay signed in for up to 8 hours.",
			),
			error,
		),
		submit,
		el(
			"details",
			{},
			el("summary", {}, "Where do I find a key?"),
			el(
				"p",
				{},
				"The service printed its first key when it was first started. Otherwise, ask whoever manages its keys for one with the scope ",
				el("code", {}, "keys:read"),
				", or ",
				el("code", {}, "keys:admin"),
				" to manage everything.",
			),
		),
	);
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		if (submit.getAttribute("aria-busy") === "true") return;
		error.textContent = "";
		field.removeAttribute("aria-invalid");
		submit.setAttribute("aria-busy", "true");
		try {
			if (!field.value.trim()) throw new Problem(422, "invalid", "");
			await call("POST", "session", { body: { key: field.value.trim() } });
			field.value = "";
			await then();
		} catch (problem) {
			error.textContent = explained(problem);
			field.setAttribute("aria-invalid", "true");
			field.focus();
			field.select();
		}
		submit.removeAttribute("aria-busy");
	});
	return el("div", { class: "sign-in" }, form);
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
