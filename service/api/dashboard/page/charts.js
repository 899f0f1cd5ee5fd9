// Charts over time, drawn by uPlot. Each has the same figures as a table, and its cursor follows the arrow keys.

import { h, show } from "./elements.js";
import { count, duration, percent, period, short } from "./format.js";

/* global uPlot */

// Where the axis of times may have lines: their times are exact as `duration` writes them.
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 14_400, 28_800, 86_400, 172_800, 432_000];
const NUMBERS = { read: count, axis: short };
const RATES = { read: percent, axis: (rate) => `${Math.round(rate * 100)}%`, most: 1 };
const TIMES = { read: duration, axis: duration, steps: STEPS_S };

export const VIEWS = {
  sends: {
    name: "Sends",
    unit: NUMBERS,
    stacked: true,
    series: [
      ["Confirmed", "good", ({ sends }) => sends.confirmed + sends.confirmed_late],
      ["Delivered, not used", "calm", ({ sends }) => sends.delivered],
      ["On its way or unknown", "quiet", ({ sends }) => sends.accepted + sends.sent + sends.unknown],
      ["Not delivered", "bad", ({ sends }) => sends.undelivered + sends.failed],
      ["Refused by Twilio", "worse", ({ sends }) => sends.refused],
    ],
  },
  rates: {
    name: "Rates",
    unit: RATES,
    series: [
      ["Conversion (confirmed in time / sends)", "good", (figures) => figures.conversion_rate],
      ["Delivery (delivered / sends)", "calm", (figures) => figures.delivery_rate],
      ["Success (approved / verifications)", "warm", (figures) => figures.success_rate],
    ],
  },
  times: {
    name: "Times",
    unit: TIMES,
    series: [
      ["To convert, median", "good", (figures) => figures.seconds_to_convert.p50],
      ["To convert, 90%", "warm", (figures) => figures.seconds_to_convert.p90],
      ["To deliver, median", "calm", (figures) => figures.seconds_to_deliver.p50],
      ["To deliver, 90%", "quiet", (figures) => figures.seconds_to_deliver.p90],
    ],
  },
};

const probe = document.body.appendChild(h("i", { hidden: true }));

/** The colour of a property as it is now: a canvas understands neither var() nor light-dark(). */
function color(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

const keyOf = (group) => group.key.hour ?? group.key.day;
const secondsOf = (key) => Date.parse(key.length > 10 ? key : `${key}T00:00:00Z`) / 1000;

/** One chart: call `draw` whenever there are figures. */
export class TimeChart {
  constructor() {
    this.legend = h("div", { class: "legend" });
    this.place = h("div", { class: "plot", "data-own": true, tabindex: 0, role: "img" });
    this.element = h("div", { class: "chart", "data-own": true }, this.legend, this.place);
    this.place.onkeydown = (event) => this.#move(event);
    new ResizeObserver(() => this.#resize()).observe(this.place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#rebuild());
  }

  /** Draw the groups; those for which `isWhole` is false are shown paler, because they are not complete. */
  draw(view, groups, tz, isWhole) {
    const shape = `${view.name} ${groups[0]?.key.hour ? "hour" : "day"} ${tz}`;
    if (this.plot && groups === this.groups && shape === this.shape) return; // a year takes long to draw
    this.partial = groups.flatMap((group, place) => (isWhole(group) ? [] : [place]));
    this.view = view;
    this.groups = groups;
    this.tz = groups[0]?.key.hour ? tz : "UTC";
    this.values = view.series.map(([, , read]) => groups.map((group) => read(group)));
    this.place.setAttribute("aria-label", this.#summary());
    if (shape === this.shape && this.plot) this.plot.setData(this.#data());
    else {
      this.shape = shape;
      this.#rebuild();
    }
    this.#read(this.plot?.cursor.idx ?? null);
  }

  #data() {
    const times = this.groups.map((group) => secondsOf(keyOf(group)));
    if (!this.view.stacked) return [times, ...this.values];
    const sums = times.map(() => 0);
    const stacked = this.values.map((values) => values.map((value, place) => (sums[place] += value)));
    return [times, ...stacked.reverse()]; // the highest is drawn first, and the others over it
  }

  #rebuild() {
    if (!this.view) return;
    this.plot?.destroy();
    this.plot = new uPlot(this.#options(), this.#data(), this.place);
  }

  #options() {
    const { stacked, unit, series } = this.view;
    const bars = uPlot.paths.bars({ size: [0.78, 44], radius: 0.12 });
    const lines = uPlot.paths.spline();
    const drawn = series.map(([label, name]) => ({
      label,
      stroke: color(name),
      fill: stacked ? color(name) : undefined,
      width: stacked ? 0 : 2,
      paths: stacked ? bars : lines,
      spanGaps: !stacked,
      points: { show: !stacked && this.groups.length < 40, size: 5 },
    }));
    const axis = { stroke: color("muted"), font: "12px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: color("grid"), width: 1 };
    return {
      width: Math.max(200, this.place.clientWidth),
      height: this.#height(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), this.tz),
      legend: { show: false },
      padding: [10, 14, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { show: !stacked }, move: (plot, left, top) => [this.#snapped(plot, left), top] },
      scales: {
        x: { range: (_, low, high) => this.#span(low, high) },
        y: { range: (_, __, high) => [0, unit.most ?? ((high || 1) * 1.08)] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 22, space: 70, values: (_, splits) => this.#ticks(splits) },
        { ...axis, grid, size: 56, space: 44, ...(unit.steps && { incrs: unit.steps }), values: (_, splits) => splits.map((value) => unit.axis(value)) },
      ],
      series: [{}, ...(stacked ? drawn.reverse() : drawn)],
      hooks: { setCursor: [(plot) => this.#read(plot.cursor.idx ?? null)], draw: [(plot) => this.#pale(plot)] },
    };
  }

  /** The place of the point that is nearest to the pointer: the line of the cursor stands on it. */
  #snapped(plot, left) {
    if (left < 0 || !this.groups.length) return left;
    return plot.valToPos(plot.data[0][plot.posToIdx(left)], "x");
  }

  /** Lay the colour of the panel, half transparent, over what is not complete. */
  #pale(plot) {
    const [times] = plot.data;
    const step = times.length > 1 ? times[1] - times[0] : 3600;
    const { left, top, width, height } = plot.bbox;
    plot.ctx.save();
    plot.ctx.globalAlpha = 0.55;
    plot.ctx.fillStyle = color("panel");
    for (const place of this.partial) {
      const [from, to] = [-0.5, 0.5].map((half) => plot.valToPos(times[place] + half * step, "x", true));
      const begin = Math.max(left, from);
      plot.ctx.fillRect(begin, top, Math.min(left + width, to) - begin, height);
    }
    plot.ctx.restore();
  }

  #ticks(splits) {
    const isDay = !this.groups[0]?.key.hour;
    const day = new Intl.DateTimeFormat("en", { timeZone: this.tz, month: "short", day: "numeric" });
    const hour = new Intl.DateTimeFormat("en", { timeZone: this.tz, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    return splits.map((seconds) => {
      const at = new Date(seconds * 1000);
      const text = hour.format(at);
      return isDay || text === "00:00" ? day.format(at) : text;
    });
  }

  #span(low, high) {
    const times = this.groups.length;
    const half = times > 1 ? (high - low) / (times - 1) / 2 : 1800;
    return [low - half, high + half];
  }

  #height = () => (this.place.clientWidth < 520 ? 210 : 270);

  #resize() {
    if (this.plot && this.place.clientWidth) this.plot.setSize({ width: this.place.clientWidth, height: this.#height() });
  }

  #move(event) {
    const last = this.groups.length - 1;
    const now = this.plot?.cursor.idx ?? last;
    const places = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last };
    if (!(event.key in places) || last < 0) return;
    event.preventDefault();
    const place = Math.min(last, Math.max(0, places[event.key]));
    this.plot.setCursor({ left: this.plot.valToPos(this.plot.data[0][place], "x"), top: 10 });
    document.getElementById("said").textContent = this.#said(place);
  }

  #read(place) {
    const { series, unit } = this.view;
    const at = place === null ? null : this.groups[place];
    show(
      this.legend,
      h("span", { class: "when" }, at ? `${period(keyOf(at), this.tz)}${this.partial.includes(place) ? ", partly" : ""}` : "Whole period"),
      series.map(([label, name], number) =>
        h("span", { class: "entry" }, h("i", { class: `swatch ${name}` }), `${label} `, h("b", null, at ? unit.read(this.values[number][place]) : this.#whole(number))),
      ),
    );
  }

  #whole(number) {
    return this.view.stacked ? count(this.values[number].reduce((sum, value) => sum + value, 0)) : "";
  }

  #said(place) {
    const parts = this.view.series.map(([label], number) => `${label} ${this.view.unit.read(this.values[number][place])}`);
    return `${period(keyOf(this.groups[place]), this.tz)}: ${parts.join(", ")}`;
  }

  #summary() {
    const { name, series, stacked } = this.view;
    const parts = series.map(([label], number) => (stacked ? `${label} ${this.#whole(number)}` : label));
    return `${name} over time, ${this.groups.length} points: ${parts.join(", ")}. The arrow keys read each point; the table has all figures.`;
  }
}

/** The same figures as a table. */
export function timeTable(view, groups, tz) {
  return h(
    "div",
    { class: "scroll tall", tabindex: 0, role: "region", "aria-label": `${view.name} as a table` },
    h(
      "table",
      null,
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Time"), view.series.map(([label]) => h("th", { scope: "col", class: "number" }, label)))),
      h(
        "tbody",
        null,
        groups.toReversed().map((group) =>
          h(
            "tr",
            { "data-key": keyOf(group) },
            h("th", { scope: "row" }, period(keyOf(group), tz)),
            view.series.map(([, , read]) => h("td", { class: "number" }, view.unit.read(read(group)))),
          ),
        ),
      ),
    ),
  );
}

/** A small line without axes, as decoration of a figure that is written beside it. */
export function sparkline(values, name, { width = 96, height = 28, most = null } = {}) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const top = most ?? Math.max(...known, 1e-9);
  const step = width / (values.length - 1);
  let isDown = false;
  const path = values
    .map((value, place) => {
      if (value === null) return "";
      const point = `${isDown ? "L" : "M"}${(place * step).toFixed(1)} ${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`;
      isDown = true;
      return point;
    })
    .join("");
  return h(
    "svg",
    { class: `spark ${name}`, viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    h("path", { d: path, fill: "none", "vector-effect": "non-scaling-stroke" }),
  );
}
