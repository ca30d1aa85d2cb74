/** The processes of the service, for those who operate it: which of them follow the changes, and who waits for them. */

import { div, el, fill, p, theirs } from "./dom.js";
import { failure, head, panel, table } from "./parts.js";
import { ago } from "./time.js";
import { mark } from "./words.js";

const EVERY_MS = 2_000;

const COLUMNS = ["Process", "State", "Last sign of life", "Lease"];

/** @param {Context} ctx */
export async function showFleet(ctx) {
	const live = el("input", { type: "checkbox", checked: true });
	const place = div("page");
	const load = async () => fill(place, ...drawn(await ctx.call("GET", "fleet")));
	await load();
	const again = async () => {
		if (!place.isConnected) return;
		if (live.checked && !document.hidden) {
			try {
				await load();
			} catch (error) {
				// Said once.
				if (!place.querySelector("[role=alert]")) place.prepend(failure(error));
			}
		}
		setTimeout(again, EVERY_MS);
	};
	setTimeout(again, EVERY_MS);
	const keeps = el("label", "choice", live, el("span", {}, "Keep up to date"));
	const under = "A change that ends access waits until every process follows it, or can let nobody in any more.";
	return { title: "Processes", content: [div("page", head("Processes", under, keeps), place)] };
}

/** @param {Fleet} fleet */
function drawn({ revision, nodes, waits }) {
	const awaited = new Set(waits.flatMap((wait) => wait.nodes));
	const rows = nodes.map((node) =>
		table.row(COLUMNS, [
			[theirs(node.id), node.own && " answers you"],
			state(node, awaited.has(node.id)),
			`${Math.round(node.silent_seconds)} s ago`,
			node.lease_seconds > 0 ? `${node.lease_seconds} s` : "None",
		]),
	);
	const waiting = waits.map((wait) =>
		el(
			"li",
			{},
			`Revision ${wait.revision}, `,
			ago(wait.since),
			", for ",
			theirs(wait.nodes.join(", ") || "the database"),
		),
	);
	return [
		p("", `${nodes.length} in all. The latest change is revision ${revision}.`),
		nodes.length > 0 && table("Processes", COLUMNS, el("tbody", {}, rows)),
		panel(
			"Waiting changes",
			p("muted", "Of the process that answers you."),
			waits.length > 0 ? el("ul", {}, waiting) : p("", "None."),
		),
	];
}

/** @param {Fleet["nodes"][0]} node @param {boolean} isAwaited */
function state({ lease_seconds: lease, silent_seconds: silent, behind }, isAwaited) {
	if (lease === 0) return mark("info", "Alone", "It is set up to be the only process.");
	if (isAwaited) return mark("warn", "Waited for", "A change waits until it follows.");
	if (silent > lease) return mark("bad", "Silent", "It gave no sign of life for longer than its lease.");
	if (behind > 0) return mark("info", `${behind} behind`, "Changes that it has not confirmed yet.");
	return mark("good", "Up to date", "It follows every change that somebody waits for.");
}
