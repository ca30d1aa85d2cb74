/**
 * `<apikey-console>`: the whole application in one element. It finds out who is signed in, shows the screen that the
 * address names, and says what happens.
 */

import { Alerts } from "./alerts.js";
import { call, Problem } from "./api.js";
import { tell } from "./dialog.js";
import { div, el, fill, p, theirs } from "./dom.js";
import { showKeys } from "./keys.js";
import { later } from "./later.js";
import { button, failure, head, link } from "./parts.js";
import { People } from "./people.js";
import { current, href } from "./router.js";
import { can } from "./scopes.js";
import { signIn } from "./sign-in.js";
import { reached } from "./words.js";

/** How long a screen may load before the page says so. */
const PATIENCE_MS = 200;

/** How long a message stays. */
const MESSAGE_MS = 6_000;

/** @type {[string, string][]} */
const ROOMS = [
	["keys", "Keys"],
	["accounts", "Service accounts"],
	["alerts", "Alerts"],
	["usage", "Usage"],
	["audit", "Audit trail"],
	["fleet", "Processes"],
];

/**
 * Attributes: `heading` is the service's name; `titled` says that it is the whole page, and names the window; `sign-in` is
 * the address of the host's own sign-in, instead of a form that asks for a key. The slots are `logo`, and `contact`: who
 * gives out keys.
 */
class ApikeyConsole extends HTMLElement {
	#main = el("div", { class: "content", tabindex: "-1" });
	#message = el("div", { class: "message", role: "status", "aria-live": "polite" });
	#who = div("who");
	#nav = el("nav", { "aria-label": "Console", hidden: true });
	#open = el("span", { class: "count", hidden: true });
	/** @type {AbortController | null} */
	#loading = null;
	/** @type {(() => boolean) | null} */
	#mayLeave = null;
	#address = "";
	/** @type {Caller | null} */
	#caller = null;
	#screen = 0;

	connectedCallback() {
		if (this.shadowRoot) return;
		const root = this.attachShadow({ mode: "open" });
		const style = el("link", { rel: "stylesheet", href: new URL("console.css", import.meta.url).href });
		const skip = button("Skip to content", () => this.#main.focus(), "skip");
		const brand = link(["keys"], [this.#heading, el("span", {}, "API keys")], "brand");
		const logo = el("img", { class: "logo", src: new URL("icon.svg", import.meta.url).href, alt: "" });
		const bar = div("bar", el("slot", { name: "logo" }, logo), brand, this.#nav, this.#who);
		const app = el("div", { class: "app", hidden: true }, skip, bar, this.#main, this.#message);
		// A page of the host has landmarks of its own.
		if (this.hasAttribute("titled")) {
			this.#main.role = "main";
			bar.role = "banner";
		}
		root.append(style, app);
		const start = () => {
			app.hidden = false;
			this.#start();
		};
		style.addEventListener("load", start, { once: true });
		style.addEventListener("error", start, { once: true });
		window.addEventListener("hashchange", () => this.#moved());
		window.addEventListener("beforeunload", (event) => {
			if (this.#mayLeave && !this.#mayLeave()) event.preventDefault();
		});
		root.addEventListener("failed", (event) => {
			const { detail } = /** @type {CustomEvent} */ (event);
			if (detail.status !== 401 && detail.name !== "AbortError") tell({ root }, "This was not done", [failure(detail)]);
		});
	}

	get #heading() {
		return this.getAttribute("heading") ?? "";
	}

	async #start() {
		this.#address = location.hash;
		try {
			this.#caller = await call("GET", "whoami");
		} catch (error) {
			if (error instanceof Problem && error.status === 401) return this.#signIn();
			this.#main.replaceChildren(failure(error, () => this.#start()));
			return;
		}
		this.#signedIn();
		await this.#show({ isFirst: true });
	}

	#signedIn() {
		if (!this.#caller) return;
		const { key, actor } = this.#caller;
		// Whoever the host has signed in signs out there.
		const signOut = key && button("Sign out", () => this.#signOut(), "small");
		const title = key ? "Signed in with this key" : "Signed in";
		fill(this.#who, el("span", { class: "name", title }, theirs(key?.name ?? actor)), signOut);
	}

	async #signOut() {
		try {
			await call("DELETE", "session");
		} catch (error) {
			if (!(error instanceof Problem && error.status === 401)) return this.#say(/** @type {Error} */ (error).message);
		}
		this.#caller = null;
		this.#signIn();
	}

	/** Asks for a key where there is no session, and returns to where that was found out. */
	#signIn(why = "") {
		if (this.#main.querySelector(".sign-in")) return;
		this.#loading?.abort();
		this.#screen += 1;
		this.#mayLeave = null;
		for (const dialog of this.shadowRoot?.querySelectorAll("dialog") ?? []) dialog.remove();
		const before = this.#caller;
		// What was typed stays for the one who typed it.
		const kept = [...this.#main.childNodes];
		const keeps = before !== null && this.#main.querySelector("form.keeps") !== null;
		this.#who.replaceChildren();
		this.#nav.hidden = true;
		const elsewhere = this.getAttribute("sign-in");
		if (elsewhere !== null) {
			this.#caller = null;
			this.#entitle("Sign in");
			this.#main.replaceChildren(signInElsewhere(elsewhere, before !== null));
			return;
		}
		const form = signIn(this.#heading, why, async () => {
			const caller = await call("GET", "whoami");
			const isSame = keeps && /** @type {Caller} */ (caller).actor === before?.actor;
			this.#caller = caller;
			this.#signedIn();
			if (isSame) this.#main.replaceChildren(...kept);
			else await this.#show();
		});
		this.#caller = null;
		this.#entitle("Sign in");
		this.#main.replaceChildren(form);
		form.querySelector("input")?.focus();
	}

	#moved() {
		if (this.#mayLeave && !this.#mayLeave()) {
			history.pushState(null, "", this.#address);
			return;
		}
		this.#address = location.hash;
		if (this.#caller) this.#show();
	}

	async #show({ isFirst = false } = {}) {
		this.#loading?.abort();
		this.#loading = new AbortController();
		this.#screen += 1;
		const screen = this.#screen;
		const ctx = this.#context(screen, this.#loading.signal);
		const patience = setTimeout(() => {
			if (screen === this.#screen)
				this.#main.replaceChildren(el("p", { class: "loading", role: "status" }, "Loading…"));
		}, PATIENCE_MS);
		let view;
		try {
			view = await this.#view(ctx);
		} catch (error) {
			if (screen !== this.#screen) return;
			view = this.#failed(error);
		} finally {
			clearTimeout(patience);
		}
		if (screen !== this.#screen) return;
		this.#navigate();
		if (!this.#nav.hidden) ctx.alerts.open().catch(() => {});
		this.#main.replaceChildren(...view.content);
		this.#entitle(view.title);
		if (!isFirst) {
			window.scrollTo(0, 0);
			const first = this.#main.querySelector(".first") ?? this.#main.querySelector("h1");
			/** @type {HTMLElement | null} */ (first)?.focus({ preventScroll: true });
		}
	}

	#navigate() {
		const [room = "keys"] = current().path;
		this.#nav.hidden = !this.#caller || !can(this.#caller, "keys:read");
		const rooms = ROOMS.filter(([name]) => name !== "fleet" || this.#caller?.operator);
		const links = rooms.map(([name, label]) =>
			el("a", { href: href([name]), "aria-current": name === room && "page" }, label, name === "alerts" && this.#open),
		);
		this.#nav.replaceChildren(...links);
	}

	/** Says how many alerts are open. @param {List<Alert>} open */
	#count({ items, next_cursor }) {
		this.#open.hidden = items.length === 0;
		const count = next_cursor ? `${items.length}+` : items.length;
		fill(this.#open, el("span", "visually-hidden", " "), count, el("span", "visually-hidden", " open"));
	}

	/** @param {unknown} error @returns {View} */
	#failed(error) {
		const isMissing = error instanceof Problem && error.status === 404;
		const text = isMissing ? "There is no such page or key. It may have been deleted." : error;
		const back = p("", link(["keys"], "Back to the keys"));
		const title = isMissing ? "Not found" : "Something went wrong";
		const content = div("page", head(title, null), failure(text, isMissing ? null : () => this.#show()), back);
		return { title, content: [content] };
	}

	/** @param {Context} ctx */
	async #view(ctx) {
		const { path, query } = current();
		const [room = "keys", id, what] = path;
		if (!can(ctx.caller, "keys:read")) return noRights(ctx.caller);
		if (room === "keys" && !id) return showKeys(ctx, query);
		// Other screens are loaded when they are first opened.
		if (room === "keys" && id === "new" && !what) return (await later(import("./create.js"))).showCreate(ctx, query);
		if (room === "keys" && id && what === "edit") return (await later(import("./edit.js"))).showEdit(ctx, id);
		if (room === "keys" && id && what === "trace") return (await later(import("./trace.js"))).showTrace(ctx, id, query);
		if (room === "keys" && id && !what) return (await later(import("./key.js"))).showKey(ctx, id);
		if (room === "accounts" && id && !what) return (await later(import("./accounts.js"))).showAccount(ctx, id);
		if (room === "accounts" && !id) return (await later(import("./accounts.js"))).showAccounts(ctx);
		if (room === "alerts" && !id) return (await later(import("./alert-list.js"))).showAlerts(ctx, query);
		if (room === "alerts" && id === "settings") return (await later(import("./alert-settings.js"))).showSettings(ctx);
		if (room === "alerts" && id === "webhooks") {
			const { showWebhook, showWebhooks } = await later(import("./webhooks.js"));
			return what ? showWebhook(ctx, what) : showWebhooks(ctx);
		}
		if (room === "usage" && !id) return (await later(import("./organization.js"))).showUsage(ctx, query);
		if (room === "audit" && !id) return (await later(import("./audit.js"))).showAudit(ctx, query);
		if (room === "fleet" && !id) return (await later(import("./fleet.js"))).showFleet(ctx);
		throw new Problem(404, "not_found", "There is no such page.");
	}

	/** What screens are given. @param {number} screen @param {AbortSignal} signal @returns {Context} */
	#context(screen, signal) {
		const isShown = () => screen === this.#screen;
		/** @type {Context["call"]} */
		const asked = async (method, path, options = {}) => {
			try {
				// What changes something runs to its end, whatever the reader looks at meanwhile.
				const done = await call(method, path, method === "GET" ? { signal, ...options } : options);
				this.#announce(method, path, options.body, done);
				return done;
			} catch (error) {
				if (error instanceof Problem && error.status === 401) this.#ended();
				throw error;
			}
		};
		return {
			call: asked,
			caller: /** @type {Caller} */ (this.#caller),
			people: new People(asked),
			alerts: new Alerts(asked, (open) => this.#count(open)),
			root: /** @type {ShadowRoot} */ (this.shadowRoot),
			say: (text, answer) => this.#say(text, answer),
			reload: () => (isShown() ? this.#show({ isFirst: true }) : Promise.resolve()),
			guard: (mayLeave) => {
				this.#mayLeave = mayLeave;
			},
		};
	}

	/**
	 * Tells the host which keys there are now, and which there are no longer; never a secret.
	 * @param {string} method @param {string} path @param {any} sent @param {any} done
	 */
	#announce(method, path, sent, done) {
		if (method !== "POST") return;
		/** @param {string} name @param {string} id */
		const tell = (name, id) => this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail: { id } }));
		if (/^api-keys(\/[^/]+\/duplicate)?$/.test(path)) tell("apikey-created", done.key.id);
		if (/^api-keys\/[^/]+\/revoke$/.test(path)) tell("apikey-revoked", done.id);
		if (path === "api-keys/bulk-revoke" && !sent.dry_run) for (const id of done.ids) tell("apikey-revoked", id);
	}

	#ended() {
		if (this.#caller) this.#signIn("Your session has ended, or the key you signed in with was revoked. Sign in again.");
	}

	/** @param {string} text @param {Changed} [answer] */
	#say(text, answer) {
		const said = el("span", {}, text, reached(answer));
		this.#message.replaceChildren(said);
		setTimeout(() => said.remove(), answer?.fleet ? 3 * MESSAGE_MS : MESSAGE_MS);
	}

	/** @param {string} title */
	#entitle(title) {
		if (this.hasAttribute("titled")) document.title = `${title} · ${this.#heading}`;
	}
}

/** @param {string} address Of the host's sign-in. @param {boolean} wasSignedIn */
function signInElsewhere(address, wasSignedIn) {
	return div(
		"sign-in panel empty",
		el("h1", { tabindex: "-1" }, wasSignedIn ? "Your session has ended" : "You are not signed in"),
		p("", "Sign in to manage API keys."),
		el("a", { class: "button primary", href: address }, "Sign in"),
	);
}

/** @param {Caller} caller @returns {View} */
function noRights(caller) {
	const way = caller.key
		? "Ask whoever gave you the key for one with that scope, sign out, and sign in with it."
		: "Ask whoever manages this service for that right, or for a key.";
	const content = div(
		"panel empty",
		el("h1", { tabindex: "-1" }, caller.key ? "This key can't see API keys" : "You can't see API keys"),
		p(
			"",
			caller.key ? "You are signed in with " : "You are signed in as ",
			el("strong", {}, theirs(caller.key?.name ?? caller.actor)),
			", which lacks the scope ",
			el("code", {}, "keys:read"),
			".",
		),
		p("muted", el("slot", { name: "contact" }, way)),
	);
	return { title: "No access", content: [content] };
}

customElements.define("apikey-console", ApikeyConsole);
