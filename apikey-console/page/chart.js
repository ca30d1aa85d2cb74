/** Usage as a drawing, with the table behind it. */

import { div, el, svg } from "./dom.js";
import { table } from "./parts.js";

const COLUMNS = ["Time", "Accepted", "Refused"];
const WIDTH = 640;
const HEIGHT = 160;
const LEFT = 40;
const BOTTOM = 20;
const TOP = 14;

/**
 * Draws accepted and refused requests, a bar for each span of time.
 * @param {Bar[]} bars Oldest first. @param {string} title
 */
export function chart(bars, title) {
	const most = ceiling(Math.max(1, ...bars.map(({ ok, refused }) => ok + refused)));
	const inner = HEIGHT - BOTTOM - TOP;
	const step = (WIDTH - LEFT) / bars.length;
	/** @param {number} value */
	const high = (value) => (value / most) * inner;
	const every = Math.ceil(bars.length / 8);
	const lines = [0, 0.5, 1].map((part) => {
		const y = TOP + inner * (1 - part);
		return [
			svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y, y2: y }),
			svg("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, compact(most * part)),
		];
	});
	const drawn = bars.map(({ label, full, ok, refused, isSpike }, index) => {
		const x = LEFT + index * step;
		const base = TOP + inner;
		const width = Math.max(2, step - Math.max(2, step * 0.25));
		const left = x + (step - width) / 2;
		return svg(
			"g",
			{},
			svg("title", {}, `${full}: ${count(ok, "accepted")}, ${count(refused, "refused")}${isSpike ? "; a spike" : ""}`),
			svg("rect", { class: "hit", x, y: TOP, width: step, height: inner }),
			ok > 0 && svg("rect", { class: "ok", x: left, y: base - high(ok), width, height: high(ok), rx: 1.5 }),
			refused > 0 &&
				svg("rect", {
					class: "refused",
					x: left,
					y: base - high(ok) - high(refused),
					width,
					height: high(refused),
					rx: 1.5,
				}),
			isSpike &&
				svg(
					"text",
					{ class: "spike", x: x + step / 2, y: base - high(ok + refused) - 2, "text-anchor": "middle" },
					"▲",
				),
			index % every === 0 &&
				svg(
					"text",
					{
						class: index % (2 * every) === 0 ? "tick" : "tick between",
						x: x + step / 2,
						y: HEIGHT + 2,
						"text-anchor": "middle",
					},
					label,
				),
		);
	});
	const rows = bars.map(({ full, ok, refused, isSpike }) =>
		table.row(COLUMNS, [[full, isSpike && " ▲ spike"], ok, refused]),
	);
	return div(
		"chart",
		svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title }, lines.flat(), drawn),
		el(
			"details",
			{},
			el("summary", {}, "Show as a table"),
			table("Requests", COLUMNS, el("tbody", {}, rows.reverse()), "plain"),
		),
	);
}

/** The next round number with a round half. @param {number} value */
function ceiling(value) {
	const power = 10 ** Math.floor(Math.log10(value));
	const found = [1, 2, 4, 6, 8, 10].find((factor) => factor * power >= value) ?? 10;
	return Math.max(2, found * power);
}

/** @param {number} value */
function compact(value) {
	return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

/** @param {number} value @param {string} what */
function count(value, what) {
	return `${value.toLocaleString("en")} ${what}`;
}
