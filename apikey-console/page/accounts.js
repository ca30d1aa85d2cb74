/** Service accounts: the programs that hold keys together. */

import { saveButton, toCsv } from "./csv.js";
import { ask } from "./dialog.js";
import { div, el, p, theirs } from "./dom.js";
import { texts } from "./fields.js";
import { field } from "./form.js";
import { audit, paged } from "./history.js";
import { keyRow, keyTable } from "./keys.js";
import { button, copyButton, head, link, panel, part, table, trail } from "./parts.js";
import { overlap, overlapChoice } from "./rotate.js";
import { go, href } from "./router.js";
import { can } from "./scopes.js";
import { untilStored } from "./secret.js";
import { ago, agoExactly } from "./time.js";
import { usage } from "./usage.js";
import { mark } from "./words.js";

/** @param {Context} ctx */
export async function showAccounts(ctx) {
	const { service_accounts: limit } = await ctx.call("GET", "limits");
	const rows = el("tbody", {});
	const more = await paged(
		ctx,
		"service-accounts",
		{},
		rows,
		(account) =>
			table.row(COLUMNS, [
				link(["accounts", account.id], theirs(account.name), "name"),
				standing(account),
				theirs(account.description),
				ago(account.created_at),
				ctx.people.actor(account.created_by),
			]),
		"50",
	);
	const content = div(
		"page",
		head(
			"Service accounts",
			`${limit.used}${limit.allowed == null ? "" : ` of ${limit.allowed}`} in use`,
			can(ctx.caller, "keys:admin") && button("Create account…", () => create(ctx), "primary"),
		),
		rows.childElementCount > 0
			? div("", table("Service accounts, newest first", COLUMNS, rows), more)
			: div(
					"panel empty",
					el("h2", {}, "No service accounts yet"),
					p(
						"",
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

/** @param {Context} ctx @param {string} id */
export async function showAccount(ctx, id) {
	const path = `service-accounts/${encodeURIComponent(id)}`;
	/** @type {ServiceAccount} */
	const account = await ctx.call("GET", path);
	const rows = el("tbody", {});
	const more = await paged(ctx, "api-keys", { service_account: id }, rows, (key) => keyRow(ctx, key));
	const isAdmin = can(ctx.caller, "keys:admin");
	const turn = async () => {
		ctx.say("The account was enabled, and its keys with it.", await ctx.call("POST", `${path}/enable`));
		await ctx.reload();
	};
	const content = div(
		"page",
		trail(link(["accounts"], "Service accounts")),
		head(
			theirs(account.name),
			standing(account),
			...(isAdmin
				? [
						link(["keys", "new"], "Create key", "button primary", { account: id }),
						button("Rotate all…", () => rotateAll(ctx, account, path)),
						button("Rename…", () => rename(ctx, account, path)),
						account.disabled_at ? button("Enable", turn) : button("Disable…", () => disable(ctx, account, path)),
						button("Delete…", () => remove(ctx, account, path), "danger"),
					]
				: []),
		),
		account.description && p("description", theirs(account.description)),
		account.disabled_at &&
			p(
				"notice warn",
				"Disabled ",
				ago(account.disabled_at),
				" by ",
				ctx.people.actor(account.disabled_by ?? ""),
				". All its keys are refused until somebody enables it.",
			),
		rows.childElementCount > 0 ? div("", keyTable(rows), more) : p("", "It has no keys yet."),
		div(
			"columns",
			div(
				"",
				part("Usage", () => usage(ctx, "usage", { service_account: id })),
			),
			el(
				"aside",
				{ "aria-label": "Details" },
				panel(
					"Details",
					p(
						"",
						el("code", {}, id),
						" ",
						copyButton(() => id, "the id"),
					),
					p("", "Created ", agoExactly(account.created_at), " by ", ctx.people.actor(account.created_by)),
				),
				part("History", () => audit(ctx, id)),
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
 * @param {Context} ctx @param {ServiceAccount} account
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
	ask(ctx, "Disable the account", "Disable account", [p("", text)], async () => {
		ctx.say("The account was disabled.", await ctx.call("POST", `${path}/disable`));
		await ctx.reload();
	});
}

/** @param {Context} ctx @param {ServiceAccount} account @param {string} path */
async function remove(ctx, account, path) {
	const keys = await reach(ctx, account);
	const typed = el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
	const content = [
		p("", el("strong", {}, keys), " will be revoked with the account. This can't be undone."),
		field("name", "Type the account's name to confirm", typed, theirs(account.name)),
	];
	ask(
		ctx,
		"Delete the account",
		"Delete account",
		content,
		async () => {
			if (typed.value.trim() !== account.name.trim()) throw new Error("This is not the account's name.");
			ctx.say("The account was deleted.", await ctx.call("DELETE", path));
			go(href(["accounts"]));
		},
		"danger solid",
	);
}

/** @param {Context} ctx @param {ServiceAccount} account @param {string} path */
async function rotateAll(ctx, account, path) {
	const text = `Each key of the account that is let in gets a new secret: all of them (at most ${await reach(ctx, account)}) or, if anything fails, none.`;
	const content = [p("", text), await overlapChoice(ctx, "How long do the old secrets still work?")];
	ask(ctx, "Rotate all keys", "Rotate all", content, async (form) => {
		const made = await ctx.call("POST", `${path}/rotate-all`, { body: overlap(form) });
		if (made.items.length === 0) throw new Error("The account has no key to rotate.");
		newSecrets(ctx, account, made);
	});
}

/**
 * The new secrets of an account's keys, once: as a table, and as a file to save.
 * @param {Context} ctx @param {ServiceAccount} account @param {{items: IssuedKey[], fleet?: Receipt}} made
 */
function newSecrets(ctx, account, made) {
	const { items } = made;
	const places = items.map(({ secret }) => el("code", {}, `${secret.slice(0, secret.lastIndexOf("_") + 1)}…`));
	const file = () =>
		toCsv([["Name", "Key id", "Secret"], ...items.map(({ key, secret }) => [key.name, key.id, secret])]);
	const reveal = button(
		"Reveal",
		() => {
			for (const [index, place] of places.entries()) place.textContent = items[index]?.secret ?? "";
			reveal.hidden = true;
		},
		"small",
	);
	const rows = items.map(({ key }, index) => table.row(["Key", "Secret"], [theirs(key.name), places[index]]));
	untilStored(
		ctx,
		`${items.length} new secret${items.length === 1 ? "" : "s"}`,
		[
			p("", "This is the only time that they are shown. Store them now, where their programs read them."),
			div(
				"actions",
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
			ctx.say("The keys were rotated.", made);
			ctx.reload();
		},
	);
}
