/** A new key. The address may fill in the form: `?name=CI&scope=files:read&expires=30d&account=…`. */

import { div, p } from "./dom.js";
import { expiry, scopeChoice, texts } from "./fields.js";
import { choice, field, formOf } from "./form.js";
import { use } from "./keys.js";
import { head, link, trail } from "./parts.js";
import { go, href } from "./router.js";
import { can } from "./scopes.js";
import { showSecret } from "./secret.js";

/** @param {Context} ctx @param {URLSearchParams} query */
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
	const isFull = limits.keys.used >= (limits.keys.allowed ?? Infinity);
	const fields = [...about.nodes, div("pair", environment.node, owner.node), end.node, scopes.node];
	const create = async () => {
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
	};
	const cancel = link(["keys"], "Cancel", "button");
	const form = formOf(fields, "Create key", create, cancel, { look: "panel form keeps" });
	const content = div(
		"page narrow",
		trail(link(["keys"], "API keys")),
		head("Create a key", use(limits)),
		isFull &&
			p(
				"notice warn",
				`${limits.keys.used} of ${limits.keys.allowed} keys; your plan allows ${limits.keys.allowed}. `,
				"Revoke one that isn't used any more, or get a larger plan, and then create this one.",
			),
		form,
	);
	return { title: "Create a key", content: [content] };
}

/** @param {ScopeCatalog} catalog @param {string} name */
function isKnown(catalog, name) {
	return [...catalog.items, ...catalog.roles].some((one) => one.name === name);
}

/** The environments. @param {string[]} names @param {string | null} wanted */
function environmentChoice(names, wanted) {
	const options = names.map((name) => [name, name]);
	return optional("environment", "Environment", options, wanted, "It can't be changed later.");
}

/** @param {Caller} caller @param {ServiceAccount[]} accounts @param {string | null} wanted */
function ownerChoice(caller, accounts, wanted) {
	const mine = ["", `Me (${caller.key?.name ?? caller.actor})`];
	const options = can(caller, "keys:admin") ? [mine, ...accounts.map(({ id, name }) => [id, name])] : [];
	const hint = "A service account holds the keys of one program together.";
	return optional("service_account_id", "Owner", options, wanted, hint);
}

/**
 * A choice that is shown if there is one.
 * @param {string} name @param {string} label @param {string[][]} options @param {string | null} wanted @param {string} hint
 */
function optional(name, label, options, wanted, hint) {
	const select = choice(options, wanted);
	return {
		node: options.length > 1 && field(name, label, select, hint),
		value: () => (options.length > 1 && select.value) || undefined,
	};
}
