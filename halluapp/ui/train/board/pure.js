"use strict";
// What the board shows, computed from the state of halluapp/ui/train/state.py without touching the page.
const CHART = { width: 300, height: 150, left: 46, right: 6, top: 8, bottom: 18 };
const LARGE = { width: 760, height: 250, left: 56, right: 8, top: 10, bottom: 22 };
const MAIN = ["loss", "reward_margin"]; // drawn large, the others small and folded
const MAP = { size: 220, room: 10 };
const COLUMN_KINDS = ["", "", "", "", "n", "n", "n", "n", "n", "n", ""];

function colour(index) {
  return "var(--c" + (index % 6) + ")";
}

function formatNumber(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1000) return value.toFixed(0);
  if (size >= 100) return value.toFixed(1);
  if (size >= 0.01) return value.toFixed(size >= 10 ? 2 : 3);
  return value.toExponential(1);
}

function formatMegabytes(value) {
  return value === null || value === undefined ? "–" : value.toFixed(value < 10 ? 1 : 0);
}

// The sum of all kinds, a step each.
function kindSums({ steps, rows }) {
  return steps.map((_, k) => rows.reduce((sum, { values }) => sum + (values[k] || 0), 0));
}

function formatTime(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  return (seconds / 3600).toFixed(1) + " h";
}

// Numbers with three places: the cells of a row are read against each other.
function formatCell(value) {
  if (value === null || value === undefined) return "–";
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 3);
}

// Labels of an axis, with as many digits as tell them apart: tiny values with a power of ten, others without.
function tickLabels(values) {
  const digits = Math.max(0, 1 - Math.floor(Math.log10(Math.abs(values[2] - values[0]))));
  const tiny = Math.max(...values.map(Math.abs)) < 0.001;
  return values.map((value) => {
    if (tiny) return value === 0 ? "0" : value.toExponential(1);
    return Number(value.toFixed(digits)) === 0 ? "0" : value.toFixed(Math.min(digits, 6));
  });
}

// The line below a run's name.
function runFacts(run) {
  const facts = [fill(TEXTS.stepOf, run)];
  if (run.seconds) facts.push(fill(TEXTS.soFar, { time: formatTime(run.seconds) }));
  if (run.left !== null) facts.push(fill(TEXTS.left, { time: formatTime(run.left) }));
  if (run.memory) facts.push(fill(TEXTS.memory, { memory: formatNumber(run.memory) }));
  if (run.note && run.status !== "running") facts.push(run.note);
  if (run.measuring_note) facts.push(run.measuring_note);
  return facts.join(" · ");
}

function progress(run) {
  return run.steps ? Math.round(100 * run.step / run.steps) : 0;
}

// Texts of a run's line in the list, without the first two columns, which are controls.
function rowTexts(run) {
  const steps = run.steps === null ? "–" : run.step + "/" + run.steps;
  return [
    run.kind, run.state, steps, formatNumber(run.loss), formatNumber(run.held), formatNumber(run.margin),
    run.seconds ? formatTime(run.seconds) : "–", run.memory ? formatNumber(run.memory) : "–", run.panel ? "✓" : "",
  ];
}

// A running mean over a tenth of the points, so that the trend shows in the noise of single batches.
function runningMean(points) {
  const width = Math.max(1, Math.round(points.length / 20));
  return points.map(([step], k) => {
    const part = points.slice(Math.max(0, k - width), k + width + 1);
    return [step, part.reduce((sum, [, value]) => sum + value, 0) / part.length];
  });
}

// The lines of one chart: curves of every run that has this key, on training and on held-out pairs.
function seriesOf(curves, key) {
  const series = [];
  curves.forEach((run, index) => {
    const sides = run.keys[key];
    for (const side of sides ? ["train", "held"] : []) {
      if (sides[side].length) series.push({ run: run.name, side, points: sides[side], colour: colour(index) });
    }
  });
  return series;
}

// What a chart shows of its lines: the steps from `first` to `last` (null: all), without what has no logarithm.
function partOf(series, { first, last, log }) {
  const inside = ([step, value]) => (
    (first === null || step >= first) && (last === null || step <= last) && (!log || value > 0)
  );
  return series.map((one) => ({ ...one, points: one.points.filter(inside) })).filter(({ points }) => points.length);
}

// Why a chart shows other points than those that were asked for; "" where it shows these.
function rangeNote(series, zoomed, { first, last, log }) {
  if (!series.length || zoomed.length) return "";
  if (log && partOf(series, { first, last, log: false }).length) {
    return TEXTS.noLogarithm;
  }
  const text = last === null ? TEXTS.noPointFrom : first === null ? TEXTS.noPointTo : TEXTS.noPointBetween;
  return fill(text, { first, last });
}

function boundsOf(series) {
  const points = series.flatMap((one) => one.points);
  const steps = points.map(([step]) => step), values = points.map(([, value]) => value);
  let low = Math.min(...values), high = Math.max(...values);
  if (high - low < 1e-9) { const room = Math.abs(high) * 0.05 || 0.5; low -= room; high += room; }
  return { first: Math.min(...steps), last: Math.max(...steps, Math.min(...steps) + 1), low, high };
}

// Step and value -> position in a chart, and back from a position to the step.
function chartScale(bounds, chart = CHART, log = false) {
  const width = chart.width - chart.left - chart.right, height = chart.height - chart.top - chart.bottom;
  const steps = bounds.last - bounds.first, unit = log ? Math.log : (value) => value;
  const low = unit(bounds.low), high = unit(bounds.high);
  return {
    x: (step) => chart.left + width * (step - bounds.first) / steps,
    y: (value) => chart.top + height * (1 - (unit(value) - low) / (high - low)),
    stepAt: (x) => bounds.first + steps * Math.min(1, Math.max(0, (x - chart.left) / width)),
  };
}

// The lowest value of an axis, its middle and the highest one.
function axisLevels({ low, high }, log) {
  return [low, log ? Math.sqrt(low * high) : (low + high) / 2, high];
}

function csvField(value) {
  const text = String(value);
  return /[",\n]/.test(text) ? "\"" + text.replaceAll("\"", "\"\"") + "\"" : text;
}

// Every point of the curves of these keys as CSV lines: run, curve, pairs, step, value.
function csvOf(curves, keys) {
  const lines = [["run", "curve", "pairs", "step", "value"]];
  for (const run of curves) {
    for (const key of keys.filter((one) => run.keys[one])) {
      for (const side of ["train", "held"]) {
        for (const [step, value] of run.keys[key][side]) lines.push([run.name, key, side, step, value]);
      }
    }
  }
  return lines.map((line) => line.map(csvField).join(",")).join("\n") + "\n";
}

function linePath(points, { x, y }) {
  return points.map(([step, value], k) => (k ? "L" : "M") + x(step).toFixed(1) + " " + y(value).toFixed(1)).join("");
}

function lowestPoint(points) {
  return points.reduce((lowest, point) => (point[1] < lowest[1] ? point : lowest));
}

function nearestPoint(points, step) {
  return points.reduce((near, point) => (Math.abs(point[0] - step) < Math.abs(near[0] - step) ? point : near));
}

// What a chart's caption says: values of every run at the pointer's step, else the last ones of the chosen run.
function readout(series, step, pointed) {
  const near = series.map((one) => nearestPoint(one.points, step));
  const values = series.flatMap((one, k) => {
    if (!pointed && one.run !== series[0].run) return [];
    const value = formatNumber(near[k][1]);
    return [one.side === "held" ? fill(TEXTS.heldOut, { value }) : value];
  });
  const text = values.join(" · ");
  return pointed && near.length ? fill(TEXTS.atStep, { step: near[0][0], values: text }) : text;
}

// All curves of all runs, in the order of the labels; others follow.
function curveKeys(curves, labels) {
  const keys = [...new Set(curves.flatMap((run) => Object.keys(run.keys)))], order = Object.keys(labels);
  const rank = (key) => (order.includes(key) ? order.indexOf(key) : order.length);
  return keys.sort((a, b) => rank(a) - rank(b));
}

// Better or worse is said only where the interval of the difference leaves zero out.
function differenceVerdict(row) {
  const [, low, high] = row.difference;
  if (!row.better || low === null || low === undefined || (low <= 0 && high >= 0)) return "";
  return (low > 0) === (row.better > 0) ? "better" : "worse";
}

// A point of the representation map -> [x, y] in the drawing; before and after share the axes.
function mapScale(map) {
  const points = ["before", "after"].flatMap((side) => Object.values(map[side]).flat());
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const width = MAP.size - 2 * MAP.room;
  return ([x, y]) => [
    MAP.room + width * (x - left) / (right - left || 1), MAP.size - MAP.room - width * (y - low) / (high - low || 1),
  ];
}

function mapLabel(side, groups) {
  const counts = Object.entries(groups).map(([name, points]) => [name, points.length]);
  return fill(TEXTS.mapLabels[side], Object.fromEntries(counts));
}

function mapNumbers(rows) {
  return rows.filter((row) => !row.on && ["distance", "separability"].includes(row.key))
    .map(({ label, before: [before], after: [after] }) => (
      fill(TEXTS.mapNumber, { label, before: formatCell(before), after: formatCell(after) })
    )).join(" · ");
}

function sampleTitle({ step, panel }) {
  const note = panel ? TEXTS.ofThePanel : step === 0 ? TEXTS.beforeTraining : "";
  return [fill(TEXTS.step, { step }), note].filter(Boolean).join(" · ");
}

// Captions to read first: the panel's (else the last one) and the untrained model's; then the others, last first.
function sampleOrder(samples) {
  const now = samples.find(({ panel }) => panel) || samples[samples.length - 1];
  const first = samples.filter((sample) => sample === now || sample.step === 0).reverse();
  return [first, samples.filter((sample) => !first.includes(sample)).reverse()];
}
