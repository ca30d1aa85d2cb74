/** How much a key was used: in the last day, week and month. */

import { chart } from "./chart.js";
import { el } from "./dom.js";
import { button } from "./parts.js";
import { DAY, HOUR } from "./time.js";

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short", timeZone: "UTC" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/**
 * @param {Context} ctx
 * @param {string} path The key's.
 */
export async function usage(ctx, path) {
  const [hours, days] = await Promise.all([
    ctx.call("GET", `${path}/usage`, { query: { bucket: "hour" } }),
    ctx.call("GET", `${path}/usage`, { query: { bucket: "day" } }),
  ]);
  const month = spread(days, DAY);
  const spans = [
    { name: "24 hours", bars: named(spread(hours, HOUR), clock, moment) },
    { name: "7 days", bars: named(month.slice(-7), weekday, day) },
    { name: "30 days", bars: named(month, day, day) },
  ];
  const place = el("div", {});
  /** @param {number} chosen */
  const show = (chosen) => {
    const { name, bars } = /** @type {typeof spans[0]} */ (spans[chosen]);
    const ok = sum(bars.map((bar) => bar.ok));
    const refused = sum(bars.map((bar) => bar.refused));
    const total = el(
      "p",
      { class: "totals" },
      el("span", { class: "legend ok" }, el("strong", {}, ok.toLocaleString("en")), " accepted"),
      el(
        "span",
        { class: "legend refused" },
        el("strong", {}, refused.toLocaleString("en")),
        " refused for a missing scope",
      ),
    );
    const drawn =
      ok + refused === 0
        ? el("p", { class: "muted" }, `No requests in the last ${name}.`)
        : chart(bars, `Requests in the last ${name}: ${ok} accepted, ${refused} refused.`);
    place.replaceChildren(total, drawn);
    for (const [index, tab] of tabs.entries()) tab.setAttribute("aria-pressed", String(index === chosen));
  };
  const tabs = spans.map(({ name }, index) => button(name, () => show(index), { class: "button small" }));
  show(0);
  return [
    el("div", { class: "spans", role: "group", "aria-label": "Span of time" }, tabs),
    place,
    el("p", { class: "hint" }, "Counted within seconds. Days are days of UTC."),
  ];
}

/**
 * Fills in the spans of time in which nothing was counted.
 *
 * @param {Usage} counted
 * @param {number} length
 */
function spread({ from, to, buckets }, length) {
  const found = new Map(buckets.map((/** @type {UsageBucket} */ bucket) => [Date.parse(bucket.start), bucket]));
  const all = [];
  for (let at = Date.parse(from); at < Date.parse(to); at += length * 1_000) {
    all.push({ at, ok: found.get(at)?.ok ?? 0, refused: found.get(at)?.refused ?? 0 });
  }
  return all;
}

/**
 * @param {{at: number, ok: number, refused: number}[]} counts
 * @param {Intl.DateTimeFormat} short
 * @param {Intl.DateTimeFormat} long
 */
function named(counts, short, long) {
  return counts.map(({ at, ok, refused }) => ({ label: short.format(at), full: long.format(at), ok, refused }));
}

/** @param {number[]} numbers */
function sum(numbers) {
  return numbers.reduce((all, one) => all + one, 0);
}
