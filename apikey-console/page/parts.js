/** What screens are made of: buttons, messages, and parts that are loaded by themselves. */

import { el, nodes } from "./dom.js";

/**
 * A button that is busy while its action runs.
 *
 * @param {string} label
 * @param {(event: Event) => unknown} action
 * @param {Record<string, unknown>} [attributes]
 */
export function button(label, action, attributes = {}) {
  const made = el("button", { type: "button", class: "button", ...attributes }, label);
  made.addEventListener("click", async (event) => {
    if (made.getAttribute("aria-busy") === "true") return;
    made.setAttribute("aria-busy", "true");
    try {
      await action(event);
    } finally {
      made.removeAttribute("aria-busy");
    }
  });
  return made;
}

/**
 * A button that copies a text, and says that it did.
 *
 * @param {() => string} text
 * @param {string} what
 */
export function copyButton(text, what) {
  const label = el("span", { "aria-live": "polite" }, "Copy");
  const copy = async () => {
    const done = await copied(text(), made);
    label.textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => {
      label.textContent = "Copy";
    }, 2_000);
  };
  const made = el(
    "button",
    { type: "button", class: "button small", "aria-label": `Copy ${what}`, onclick: copy },
    label,
  );
  return made;
}

/**
 * @param {string} text
 * @param {HTMLElement} near Browsers give the clipboard to pages over TLS alone; elsewhere a field beside this is selected.
 */
async function copied(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = el("textarea", { class: "visually-hidden", readonly: true, value: text });
    near.after(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    near.focus();
    return done;
  }
}

/**
 * A message about what went wrong.
 *
 * @param {unknown} error
 * @param {(() => void) | null} [retry]
 */
export function failure(error, retry = null) {
  const text = error instanceof Error ? error.message : String(error);
  return el(
    "div",
    { class: "notice bad", role: "alert" },
    el("p", {}, text),
    retry && button("Try again", retry, { class: "button small" }),
  );
}

/**
 * A part of a screen that is loaded by itself, and fails by itself.
 *
 * @param {() => Promise<import("./dom.js").Child | import("./dom.js").Child[]>} load
 */
export function loaded(load) {
  const place = el("div", { class: "loaded", "aria-busy": "true" }, el("p", { class: "muted" }, "Loading…"));
  const run = async () => {
    place.setAttribute("aria-busy", "true");
    try {
      place.replaceChildren(...nodes([await load()].flat()));
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") place.replaceChildren(failure(error, run));
    }
    place.removeAttribute("aria-busy");
  };
  run();
  return place;
}
