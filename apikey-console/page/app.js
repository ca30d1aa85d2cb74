/**
 * `<apikey-console>`: the whole application in one element. It finds out who is signed in, shows the screen that the
 * address names, and says what happens.
 */

import { call, Problem } from "./api.js";
import { showCreate } from "./create.js";
import { el, theirs } from "./dom.js";
import { showEdit } from "./edit.js";
import { showKey } from "./key.js";
import { showKeys } from "./keys.js";
import { button, failure } from "./parts.js";
import { People } from "./people.js";
import { current, href } from "./router.js";
import { can } from "./scopes.js";
import { signIn } from "./sign-in.js";

/** How long a screen may load before the page says so. */
const PATIENCE_MS = 200;

/** How long a message stays. */
const MESSAGE_MS = 6_000;

class ApikeyConsole extends HTMLElement {
  #main = el("main", { tabindex: "-1" });
  #message = el("div", { class: "message", role: "status", "aria-live": "polite" });
  #who = el("div", { class: "who" });
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
    const skip = button("Skip to content", () => this.#main.focus(), { class: "skip" });
    const brand = el("a", { class: "brand", href: href(["keys"]) }, this.#heading, el("span", {}, "API keys"));
    const logo = el("img", { class: "logo", src: new URL("icon.svg", import.meta.url).href, alt: "" });
    const bar = el("header", { class: "bar" }, el("slot", { name: "logo" }, logo), brand, this.#who);
    const app = el("div", { class: "app", hidden: true }, skip, bar, this.#main, this.#message);
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
    const name = this.#caller.key?.name ?? this.#caller.actor;
    const signOut = button("Sign out", () => this.#signOut(), { class: "button small quiet" });
    this.#who.replaceChildren(el("span", { class: "name", title: "Signed in with this key" }, theirs(name)), signOut);
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
      view = { title: "Something went wrong", content: [this.#failed(error)] };
    } finally {
      clearTimeout(patience);
    }
    if (screen !== this.#screen) return;
    this.#main.replaceChildren(...view.content);
    this.#entitle(view.title);
    if (!isFirst) {
      window.scrollTo(0, 0);
      const first = this.#main.querySelector(".first") ?? this.#main.querySelector("h1");
      /** @type {HTMLElement | null} */ (first)?.focus({ preventScroll: true });
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    const isMissing = error instanceof Problem && error.status === 404;
    const text = isMissing ? "There is no such page or key. It may have been deleted." : error;
    const back = el("p", {}, el("a", { href: href(["keys"]) }, "Back to the keys"));
    return el("div", { class: "page" }, failure(text, isMissing ? null : () => this.#show()), back);
  }

  /**
   * @param {Context} ctx
   * @returns {Promise<View>}
   */
  async #view(ctx) {
    const { path, query } = current();
    const [room = "keys", id, what] = path;
    if (!can(ctx.caller, "keys:read")) return noRights(ctx.caller);
    if (room === "keys" && !id) return showKeys(ctx, query);
    if (room === "keys" && id === "new" && !what) return showCreate(ctx, query);
    if (room === "keys" && id && what === "edit") return showEdit(ctx, id);
    if (room === "keys" && id && !what) return showKey(ctx, id);
    throw new Problem(404, "not_found", "There is no such page.");
  }

  /**
   * What screens are given.
   *
   * @param {number} screen
   * @param {AbortSignal} signal
   * @returns {Context}
   */
  #context(screen, signal) {
    const isShown = () => screen === this.#screen;
    /** @type {Context["call"]} */
    const asked = async (method, path, options = {}) => {
      try {
        // What changes something runs to its end, whatever the reader looks at meanwhile.
        return await call(method, path, method === "GET" ? { signal, ...options } : options);
      } catch (error) {
        if (error instanceof Problem && error.status === 401) this.#ended();
        throw error;
      }
    };
    return {
      call: asked,
      caller: /** @type {Caller} */ (this.#caller),
      people: new People(asked),
      root: /** @type {ShadowRoot} */ (this.shadowRoot),
      say: (text) => this.#say(text),
      reload: () => (isShown() ? this.#show({ isFirst: true }) : Promise.resolve()),
      guard: (mayLeave) => {
        this.#mayLeave = mayLeave;
      },
    };
  }

  #ended() {
    if (this.#caller) this.#signIn("Your session has ended, or the key you signed in with was revoked. Sign in again.");
  }

  /** @param {string} text */
  #say(text) {
    this.#message.textContent = text;
    setTimeout(() => {
      if (this.#message.textContent === text) this.#message.textContent = "";
    }, MESSAGE_MS);
  }

  /** @param {string} title */
  #entitle(title) {
    if (this.hasAttribute("titled")) document.title = `${title} · ${this.#heading}`;
  }
}

/**
 * @param {Caller} caller
 * @returns {View}
 */
function noRights(caller) {
  const name = caller.key?.name ?? caller.actor;
  const content = el(
    "div",
    { class: "panel empty" },
    el("h1", { tabindex: "-1" }, "This key can't see API keys"),
    el(
      "p",
      {},
      "You are signed in with ",
      el("strong", {}, theirs(name)),
      ", which lacks the scope ",
      el("code", {}, "keys:read"),
      ".",
    ),
    el("p", { class: "muted" }, "Ask whoever gave you the key for one with that scope, sign out, and sign in with it."),
  );
  return { title: "No access", content: [content] };
}

customElements.define("apikey-console", ApikeyConsole);
