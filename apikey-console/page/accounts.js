/** Service accounts: the programs that hold keys together. */

import { saveButton, toCsv } from "./csv.js";
import { ask } from "./dialog.js";
import { el, theirs } from "./dom.js";
import { field, texts } from "./form.js";
import { audit, paged } from "./history.js";
import { keyRow, keyTable } from "./keys.js";
import { button, copyButton, head, loaded, panel, table, trail } from "./parts.js";
import { overlap, overlapChoice } from "./rotate.js";
import { go, href } from "./router.js";
import { can } from "./scopes.js";
import { untilStored } from "./secret.js";
import { mark } from "./status.js";
import { ago, agoExactly } from "./time.js";
import { usage } from "./usage.js";

/** @param {Context} ctx @returns {Promise<View>} */
export async function showAccounts(ctx) {
	const { service_accounts: limit } = await ctx.call("GET", "limits");
	const rows = el("tbody", {});
	const list = await paged(
		ctx,
		"service-accounts",
		{},
		rows,
		(/** @type {ServiceAccount} */ account) =>
			table.row(COLUMNS, [
				el("a", { class: "name", href: href(["accounts", account.id]) }, theirs(account.name)),
				standing(account),
				theirs(account.description),
				ago(account.created_at),
				ctx.people.actor(account.created_by),
			]),
		"50",
	);
	const content = el(
		"div",
		{ class: "page" },
		head(
			"Service accounts",
			`${limit.used}${limit.allowed == null ? "" : ` of ${limit.allowed}`} in use`,
			can(ctx.caller, "keys:admin") && button("Create account…", () => create(ctx), { class: "button primary" }),
		),
		rows.childElementCount > 0
			? el("div", {}, table("Service accounts, newest first", COLUMNS, rows), list.slice(1))
			: el(
					"div",
					{ class: "panel empty" },
					el("h2", {}, "No service accounts yet"),
					el(
						"p",
						{},
						"A service account holds the keys of one program together. They stay when the person who made them leaves, and are rotated or disabled at once.",
					),
				),
	);
	return { title: "Service accounts", content: [content] };
}

const COLUMNS = ["Name", "Status", "Description", "Created", "By"];

/** @param {ServiceAccount} account */
function standing(account) {
	return account.disabled_at ? mark("warn", "Disabled", "Its keys are refused.") : mark("good", "Enabled", "");
}

/** @param {Context} ctx */
function create(ctx) {
	const about = texts({ name: "", description: "" }, "The program that uses the keys, such as “website”.");
	ask(ctx, "Create a service account", "Create account", about.nodes, async () => {
		const { id } = await ctx.call("POST", "service-accounts", { body: about.value() });
		ctx.say("The account was created.");
		go(href(["accounts", id]));
	});
}

/** @param {Context} ctx @param {string} id @returns {Promise<View>} */
export async function showAccount(ctx, id) {
	const path = `service-accounts/${encodeURIComponent(id)}`;
	/** @type {ServiceAccount} */
	const account = await ctx.call("GET", path);
	const rows = el("tbody", {});
	const keys = await paged(ctx, "api-keys", { service_account: id }, rows, (/** @type {ApiKey} */ key) =>
		keyRow(ctx, key),
	);
	const isAdmin = can(ctx.caller, "keys:admin");
	const turn = async () => {
		await ctx.call("POST", `${path}/enable`);
		ctx.say("The account was enabled, and its keys with it.");
		await ctx.reload();
	};
	const content = el(
		"div",
		{ class: "page" },
		trail(["accounts"], "Service accounts"),
		head(
			theirs(account.name),
			standing(account),
			...(isAdmin
				? [
						el("a", { class: "button primary", href: href(["keys", "new"], { account: id }) }, "Create key"),
						button("Rotate all…", () => rotateAll(ctx, account, path)),
						button("Rename…", () => rename(ctx, account, path)),
						account.disabled_at ? button("Enable", turn) : button("Disable…", () => disable(ctx, account, path)),
						button("Delete…", () => remove(ctx, account, path), { class: "button danger" }),
					]
				: []),
		),
		account.description && el("p", { class: "description" }, theirs(account.description)),
		account.disabled_at &&
			el(
				"p",
				{ class: "notice warn" },
				"Disabled ",
				ago(account.disabled_at),
				" by ",
				ctx.people.actor(account.disabled_by ?? ""),
				". All its keys are refused until somebody enables it.",
			),
		rows.childElementCount > 0 ? el("div", {}, keyTable(rows), keys.slice(1)) : el("p", {}, "It has no keys yet."),
		el(
			"div",
			{ class: "columns" },
			el(
				"div",
				{},
				panel(
					"Usage",
					loaded(() => usage(ctx, "usage", { service_account: id })),
				),
			),
			el(
				"aside",
				{ "aria-label": "Details" },
				panel(
					"Details",
					el(
						"p",
						{},
						el("code", {}, id),
						" ",
						copyButton(() => id, "the id"),
					),
					el("p", {}, "Created ", agoExactly(account.created_at), " by ", ctx.people.actor(account.created_by)),
				),
				panel(
					"History",
					loaded(() => audit(ctx, id)),
				),
			),
		),
	);
	return { title: account.name, content: [content] };
}

/** @param {Context} ctx @param {ServiceAccount} account @param {string} path */
function rename(ctx, account, path) {
	const about = texts(account, "The program that uses the keys.");
	ask(ctx, "Rename the account", "Save changes", about.nodes, async () => {
		await ctx.call("PATCH", path, { body: about.value(), etag: `"${account.version}"` });
		ctx.say("The account was changed.");
		await ctx.reload();
	});
}

/**
 * How many keys would be revoked with the account: those that are let in, or may be again.
 *
 * @param {Context} ctx
 * @param {ServiceAccount} account
 */
async function reach(ctx, { id }) {
	const { ids, remaining } = await ctx.call("POST", "api-keys/bulk-revoke", {
		body: { service_account_id: id, dry_run: true },
	});
	const count = ids.length + remaining;
	return count === 1 ? "1 key" : `${count} keys`;
}

/** @param {Context} ctx @param {ServiceAccount} account @param {string} path */
async function disable(ctx, account, path) {
	const keys = await reach(ctx, account);
	const text = `With the account, ${keys} will be refused until somebody enables it. Requests under way end.`;
	ask(ctx, "Disable the account", "Disable account", [el("p", {}, text)], async () => {
		await ctx.call("POST", `${path}/disable`);
		ctx.say("The account was disabled.");
		await ctx.reload();
	});
}

/** @param {Context} ctx @param {ServiceAccount} account @param {string} path */
async function remove(ctx, account, path) {
	const keys = await reach(ctx, account);
	const typed = el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
	const content = [
		el("p", {}, el("strong", {}, keys), " will be revoked with the account. This can't be undone."),
		field("name", "Type the account's name to confirm", typed, theirs(account.name)),
	];
	ask(
		ctx,
		"Delete the account",
		"Delete account",
		content,
		async () => {
			if (typed.value.trim() !== account.name.trim()) throw new Error("This is not the account's name.");
			await ctx.call("DELETE", path);
			ctx.say("The account was deleted.");
			go(href(["accounts"]));
		},
		"danger solid",
	);
}

/** @param {Context} ctx @param {ServiceAccount} account @param {string} path */
async function rotateAll(ctx, account, path) {
	const text = `Each key of the account that is let in gets a new secret: all of them (at most ${await reach(ctx, account)}) or, if anything fails, none.`;
	const content = [el("p", {}, text), overlapChoice("How long do the old secrets still work?")];
	ask(ctx, "Rotate all keys", "Rotate all", content, async (form) => {
		const { items } = await ctx.call("POST", `${path}/rotate-all`, { body: overlap(form) });
		if (items.length === 0) throw new Error("The account has no key to rotate.");
		newSecrets(ctx, account, items);
	});
}

/**
 * The new secrets of an account's keys, once: as a table, and as a file to save.
 *
 * @param {Context} ctx
 * @param {ServiceAccount} account
 * @param {IssuedKey[]} items
 */
function newSecrets(ctx, account, items) {
	const places = items.map(({ secret }) => el("code", {}, `${secret.slice(0, secret.lastIndexOf("_") + 1)}…`));
	const file = () =>
		toCsv([["Name", "Key id", "Secret"], ...items.map(({ key, secret }) => [key.name, key.id, secret])]);
	const reveal = button(
		"Reveal",
		() => {
			for (const [index, place] of places.entries()) place.textContent = items[index]?.secret ?? "";
			reveal.hidden = true;
		},
		{ class: "button small" },
	);
	const rows = items.map(({ key }, index) => table.row(["Key", "Secret"], [theirs(key.name), places[index]]));
	untilStored(
		ctx,
		`${items.length} new secret${items.length === 1 ? "" : "s"}`,
		[
			el("p", {}, "This is the only time that they are shown. Store them now, where their programs read them."),
			el(
				"div",
				{ class: "actions" },
				reveal,
				copyButton(file, "all as CSV"),
				saveButton("Save as a file", `secrets of ${account.name}.csv`, file),
			),
			el(
				"div",
				{ class: "scroll", tabindex: "0", role: "region", "aria-label": "New secrets" },
				table("New secrets", ["Key", "Secret"], el("tbody", {}, rows), "plain"),
			),
		],
		"I have stored them",
		() => {
			for (const place of places) place.textContent = "";
			items.length = 0;
			ctx.reload();
		},
	);
}
