/** Markup, made by DOM calls alone: texts become text nodes, whatever they hold. */

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "selected"]);

/**
 * Makes an element. Names that begin with `on` are listeners; `null`, `undefined` and `false` are left out.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
	return filled(document.createElement(tag), attributes, children);
}

/**
 * Makes an element of a drawing.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Child | Child[])} children
 */
export function svg(tag, attributes = {}, ...children) {
	return filled(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Record<string, unknown>} attributes
 * @param {(Child | Child[])[]} children
 * @returns {E}
 */
function filled(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) {
		if (value === null || value === undefined || value === false) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
		else if (PROPERTIES.has(name)) Object.assign(element, { [name]: value });
		else element.setAttribute(name, value === true ? "" : String(value));
	}
	element.append(...nodes(children));
	return element;
}

/** @param {(Child | Child[])[]} children @returns {(Node | string)[]} */
export function nodes(children) {
	return children
		.flat()
		.filter((child) => child !== null && child !== undefined && child !== false && child !== "")
		.map((child) => (child instanceof Node ? child : String(child)));
}

let ids = 0;

/**
 * Returns an id that no other element has.
 *
 * @param {string} name
 */
export function uniqueId(name) {
	ids += 1;
	return `${name}-${ids}`;
}

/**
 * A text that somebody else wrote, kept apart from the direction of the text around it.
 *
 * @param {string} text
 */
export function theirs(text) {
	return el("bdi", {}, text);
}
