/** Markup, made by DOM calls alone: texts become text nodes, whatever they hold. */

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "selected"]);

/**
 * Makes an element. Attributes that are a text are its class; names that begin with `on` are listeners; `null`, `undefined`
 * and `false` are left out.
 * @template {keyof HTMLElementTagNameMap} K @param {K} tag @param {Attributes} [attributes]
 * @param {...Children} children @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
	return filled(document.createElement(tag), attributes, children);
}

/** Makes a block. @param {string} look Its class. @param {...Children} children */
export function div(look, ...children) {
	return el("div", look, ...children);
}

/** Makes a paragraph. @param {string} look Its class. @param {...Children} children */
export function p(look, ...children) {
	return el("p", look, ...children);
}

/**
 * Makes an element of a drawing.
 * @param {string} tag @param {Attributes} [attributes] @param {...Children} children
 */
export function svg(tag, attributes = {}, ...children) {
	return filled(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * @template {Element} E @param {E} element @param {Attributes} attributes @param {Children[]} children
 * @returns {E}
 */
function filled(element, attributes, children) {
	const all = typeof attributes === "string" ? { class: attributes || null } : attributes;
	for (const [name, value] of Object.entries(all)) {
		if (value === null || value === undefined || value === false) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
		else if (PROPERTIES.has(name)) Object.assign(element, { [name]: value });
		else element.setAttribute(name, value === true ? "" : String(value));
	}
	element.append(...nodes(children));
	return element;
}

/** @param {Children[]} children @returns {(Node | string)[]} */
function nodes(children) {
	return children
		.flat()
		.filter((child) => child !== null && child !== undefined && child !== false && child !== "")
		.map((child) => (child instanceof Node ? child : String(child)));
}

/** Puts these in the place of whatever an element holds. @param {Element} place @param {...Children} children */
export function fill(place, ...children) {
	place.replaceChildren(...nodes(children));
}

let ids = 0;

/** Returns an id that no other element has. @param {string} name */
export function uniqueId(name) {
	ids += 1;
	return `${name}-${ids}`;
}

/** A text that somebody else wrote, kept apart from the direction of the text around it. @param {string} text */
export function theirs(text) {
	return el("bdi", {}, text);
}
