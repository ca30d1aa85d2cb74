/** A new key. The address may fill in the form: `?name=CI&scope=files:read&expires=30d&account=…`. */

import { el, theirs } from "./dom.js";
import { expiry, field, onSubmit, scopeChoice, texts } from "./form.js";
import { use } from "./keys.js";
import { head, trail } from "./parts.js";
import { go, href } from "./router.js";
import { can } from "./scopes.js";
import { showSecret } from "./secret.js";

/** @param {Context} ctx @param {URLSearchParams} query @returns {Promise<View>} */
export async function showCreate(ctx, query) {
	const [limits, catalog, accounts] = await Promise.all([
		ctx.call("GET", "limits"),
		ctx.call("GET", "scopes"),
		ctx.call("GET", "service-accounts", { query: { limit: "200" } }),
	]);
	const about = texts({ name: query.get("name") ?? "", description: query.get("description") ?? "" });
	const environment = environmentChoice(catalog.environments, query.get("environment"));
	const owner = ownerChoice(ctx.caller, accounts.items, query.get("account"));
	const end = expiry(ctx.caller, limits, undefined, query.get("expires") ?? undefined);
	const scopes = scopeChoice(
		ctx.caller,
		catalog,
		query.getAll("scope").filter((name) => isKnown(catalog, name)),
	);
	const isFull = limits.keys.allowed !== null && limits.keys.used >= limits.keys.allowed;
	const form = el(
		"form",
		{ class: "panel form keeps", novalidate: true },
		about.nodes,
		el("div", { class: "pair" }, environment.node, owner.node),
		end.node,
		scopes.node,
		el("p", { class: "form-error", role: "alert" }),
		el(
			"div",
			{ class: "actions" },
			el("button", { class: "button primary", type: "submit" }, "Create key"),
			el("a", { class: "button", href: href(["keys"]) }, "Cancel"),
		),
	);
	onSubmit(form, async () => {
		const body = {
			...about.value(),
			scopes: scopes.value(),
			environment: environment.value(),
			service_account_id: owner.value(),
			expires_at: end.value(),
		};
		const made = await ctx.call("POST", "api-keys", { body });
		await showSecret(ctx, made, "Key created");
		ctx.say("The key was created.");
		go(href(["keys", made.key.id]));
	});
	const content = el(
		"div",
		{ class: "page narrow" },
		trail(["keys"], "API keys"),
		head("Create a key", use(limits)),
		isFull &&
			el(
				"p",
				{ class: "notice warn" },
				"The plan has no room for another key. Revoke one that isn't used any more, and then create this one.",
			),
		form,
	);
	return { title: "Create a key", content: [content] };
}

/** @param {ScopeCatalog} catalog @param {string} name */
function isKnown(catalog, name) {
	return [...catalog.items, ...catalog.roles].some((one) => one.name === name);
}

/** @param {string[]} environments @param {string | null} wanted */
function environmentChoice(environments, wanted) {
	if (environments.length < 2) return { node: null, value: () => undefined };
	const select = el(
		"select",
		{},
		environments.map((name) => el("option", { value: name, selected: name === wanted }, name)),
	);
	return { node: field("environment", "Environment", select, "It can't be changed later."), value: () => select.value };
}

/** @param {Caller} caller @param {ServiceAccount[]} accounts @param {string | null} wanted */
function ownerChoice(caller, accounts, wanted) {
	if (accounts.length === 0 || !can(caller, "keys:admin")) return { node: null, value: () => undefined };
	const select = el(
		"select",
		{},
		el("option", { value: "" }, `Me (${caller.key?.name ?? caller.actor})`),
		accounts.map(({ id, name }) => el("option", { value: id, selected: id === wanted }, theirs(name))),
	);
	return {
		node: field("service_account_id", "Owner", select, "A service account holds the keys of one program together."),
		value: () => select.value || undefined,
	};
}
