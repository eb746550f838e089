// What the training tab shows: numbers, lines of the list, charts, the before-and-after table, the map.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const pure = load("shared/dom.js", "train/board/texts.js", "train/board/pure.js");
const EVIL = "<img src=x onerror=alert(1)>";
const curve = (name, loss) => ({ name, keys: { loss } });

test("numbers have as many digits as they need", () => {
  const expected = [[null, "–"], [undefined, "–"], [0, "0"], [0.00012, "1.2e-4"], [0.01, "0.010"], [-2.5, "-2.500"],
    [12.345, "12.35"], [123.45, "123.5"], [12345.6, "12346"]];
  for (const [value, text] of expected) assert.equal(pure.formatNumber(value), text);
});

test("times are seconds, minutes or hours", () => {
  const expected = [[null, "–"], [0, "0 s"], [89.4, "89 s"], [90, "2 min"], [5399, "90 min"], [5400, "1.5 h"]];
  for (const [seconds, text] of expected) assert.equal(pure.formatTime(seconds), text);
});

test("cells of the table have three places, large ones fewer", () => {
  assert.deepEqual([null, 0.5, -12.34].map(pure.formatCell), ["–", "0.500", "-12.3"]);
});

test("labels of an axis tell its ends apart", () => {
  assert.deepEqual(pure.tickLabels([0, 1, 2]), ["0", "1.0", "2.0"]);
  assert.deepEqual(pure.tickLabels([0, 50, 100]), ["0", "50", "100"]);
  assert.deepEqual(pure.tickLabels([0, 0.0002, 0.0004]), ["0", "2.0e-4", "4.0e-4"]);
  assert.equal(new Set(pure.tickLabels([1.001, 1.002, 1.003])).size, 3);
  assert.ok(!pure.tickLabels([-0.0001, 1, 2]).includes("-0"));
});

test("the facts of a run that has just begun are one of its steps", () => {
  const run = { step: 0, steps: 4, seconds: 0, left: null, memory: 0, note: "", status: "waiting" };
  assert.equal(pure.runFacts(run), "step 0 of 4");
});

test("the facts of a run name time, memory and what it does", () => {
  const numbers = { step: 2, steps: 4, seconds: 120, left: 60, memory: 900 };
  const run = { ...numbers, note: EVIL, status: "preparing", measuring_note: "m" };
  assert.equal(pure.runFacts(run), `step 2 of 4 · 2 min so far · about 60 s left · 900.0 MB at most · ${EVIL} · m`);
  assert.ok(!pure.runFacts({ ...run, status: "running" }).includes(EVIL)); // notes are about what comes before
});

test("progress of a run without steps is zero", () => {
  const runs = [{ step: 1, steps: 3 }, { step: 0, steps: 0 }, { step: null, steps: null }];
  assert.deepEqual(runs.map(pure.progress), [33, 0, 0]);
});

test("an adapter made elsewhere has a line without numbers", () => {
  const numbers = { steps: null, step: null, loss: null, held: null, margin: null };
  const run = { kind: "adapter", state: "made elsewhere", panel: true, ...numbers };
  assert.deepEqual(pure.rowTexts(run), ["adapter", "made elsewhere", "–", "–", "–", "–", "–", "–", "✓"]);
  assert.equal(pure.rowTexts(run).length + 2, pure.COLUMN_KINDS.length);
  assert.equal(pure.TEXTS.columns.length, pure.COLUMN_KINDS.length);
});

test("a running mean keeps steps, constants and the number of points", () => {
  const points = Array.from({ length: 50 }, (_, k) => [k + 1, 3]);
  assert.deepEqual(pure.runningMean(points), points);
  assert.deepEqual(pure.runningMean([[7, 2]]), [[7, 2]]);
  assert.deepEqual(pure.runningMean([]), []);
});

test("series are the sides that have points, coloured by run", () => {
  const first = curve("a", { train: [[1, 2]], held: [] }), second = curve("b", { train: [[1, 2]], held: [[1, 3]] });
  const curves = [first, { name: EVIL, keys: {} }, second];
  const series = pure.seriesOf(curves, "loss");
  assert.deepEqual(series.map((one) => [one.run, one.side, one.colour]), [
    ["a", "train", "var(--c0)"], ["b", "train", "var(--c2)"], ["b", "held", "var(--c2)"],
  ]);
  assert.deepEqual(pure.seriesOf([], "loss"), []);
});

test("colours come round after six runs", () => {
  assert.equal(pure.colour(6), pure.colour(0));
});

test("bounds leave room around a line that is flat, also at zero, and around one point", () => {
  for (const value of [0, 5, -5]) {
    const bounds = pure.boundsOf([{ points: [[3, value]] }]);
    assert.ok(bounds.low < value && value < bounds.high);
    assert.deepEqual([bounds.first, bounds.last], [3, 4]);
  }
});

test("a chart's scale maps its bounds to its edges and back", () => {
  const { CHART } = pure, scale = pure.chartScale({ first: 0, last: 10, low: 1, high: 3 });
  assert.deepEqual([scale.x(0), scale.x(10)], [CHART.left, CHART.width - CHART.right]);
  assert.deepEqual([scale.y(3), scale.y(1)], [CHART.top, CHART.height - CHART.bottom]);
  assert.ok(Math.abs(scale.stepAt(scale.x(4)) - 4) < 1e-9);
  assert.deepEqual([scale.stepAt(-100), scale.stepAt(1000)], [0, 10]);
});

test("a line moves once and then draws", () => {
  const scale = { x: (step) => step, y: (value) => value };
  assert.equal(pure.linePath([[0, 1], [2, 3.25]], scale), "M0.0 1.0L2.0 3.3");
  assert.equal(pure.linePath([], scale), "");
});

test("the lowest point is the first of equal ones, the nearest too", () => {
  assert.deepEqual(pure.lowestPoint([[1, 2], [2, 1], [3, 1]]), [2, 1]);
  assert.deepEqual(pure.nearestPoint([[1, 0], [3, 0]], 2), [1, 0]);
  assert.deepEqual(pure.nearestPoint([[1, 0], [3, 0]], 99), [3, 0]);
});

test("the readout names the step under the pointer, else the chosen run's last values", () => {
  const series = [
    { run: "a", side: "train", points: [[1, 4], [2, 2]] }, { run: "a", side: "held", points: [[1, 3]] },
    { run: "b", side: "train", points: [[1, 8]] },
  ];
  assert.equal(pure.readout(series, 2, false), "2.000 · 3.000 held-out");
  assert.equal(pure.readout(series, 1.2, true), "step 1: 4.000 · 3.000 held-out · 8.000");
  assert.equal(pure.readout([], 1, true), "");
});

test("curves stand in the order of their labels, others behind, each once", () => {
  const curves = [{ keys: { other: 1, kl: 1, loss: 1 } }, { keys: { loss: 1, alpha: 1 } }];
  const keys = pure.curveKeys(curves, { loss: "Loss", alpha: "Weight", kl: "KL" });
  assert.deepEqual(keys, ["loss", "alpha", "kl", "other"]);
  assert.deepEqual(pure.curveKeys([], {}), []);
});

test("better and worse need an interval without zero and a direction", () => {
  const verdict = (difference, better) => pure.differenceVerdict({ difference, better });
  assert.equal(verdict([0.2, 0.1, 0.3], 1), "better");
  assert.equal(verdict([0.2, 0.1, 0.3], -1), "worse");
  assert.equal(verdict([-0.2, -0.3, -0.1], -1), "better");
  for (const interval of [[0.2, -0.1, 0.3], [0.2, 0, 0.3], [null], [0.2, null, null]]) {
    assert.equal(verdict(interval, 1), "");
  }
  assert.equal(verdict([0.2, 0.1, 0.3], null), "");
});

test("both maps share their axes; points that all lie together stay inside", () => {
  const { MAP } = pure;
  const scale = pure.mapScale({ before: { photo: [[0, 0]] }, after: { photo: [[2, 4]] } });
  assert.deepEqual(scale([0, 0]), [MAP.room, MAP.size - MAP.room]);
  assert.deepEqual(scale([2, 4]), [MAP.size - MAP.room, MAP.room]);
  const single = pure.mapScale({ before: { photo: [[1, 1]] }, after: { photo: [[1, 1]] } });
  assert.deepEqual(single([1, 1]), [MAP.room, MAP.size - MAP.room]);
});

test("a map's label counts, its numbers are of the held-out pairs only", () => {
  const groups = { photo: [[0, 0]], truthful: [[0, 0], [1, 1]], hallucinated: [] };
  assert.equal(pure.mapLabel("before", groups),
    "Representations before the run; photos: 1, truthful captions: 2, hallucinated captions: 0");
  const row = { on: "", key: "distance", label: "Distance", before: [0.8], after: [0.5] };
  assert.equal(pure.mapNumbers([row, { ...row, on: "others" }, { ...row, key: "margin" }]), "Distance: 0.800 → 0.500");
  assert.equal(pure.mapNumbers([]), "");
});

test("a zoomed chart shows its steps, and a logarithm only what has one", () => {
  const series = [{ run: "a", points: [[1, 0], [2, 1], [3, 10], [9, 100]] }, { run: "b", points: [[9, 5]] }];
  const part = pure.partOf(series, { first: 2, last: 5, log: false });
  assert.deepEqual(part.map((one) => one.points), [[[2, 1], [3, 10]]]);
  assert.deepEqual(pure.partOf(series, { first: null, last: null, log: true })[0].points.length, 3);
  const bounds = { first: 1, last: 9, low: 1, high: 100 }, scale = pure.chartScale(bounds, pure.LARGE, true);
  const middle = (pure.LARGE.top + pure.LARGE.height - pure.LARGE.bottom) / 2;
  assert.ok(Math.abs(scale.y(10) - middle) < 1e-9);
  assert.ok(Math.abs(pure.axisLevels(bounds, true)[1] - 10) < 1e-9);
  assert.deepEqual(pure.axisLevels(bounds, false), [1, 50.5, 100]);
});

test("curves are saved as CSV, names with commas in quotes", () => {
  const curves = [{ name: "a,\"b\"", keys: { loss: { train: [[1, 0.5]], held: [[0, 0.6]] } } }];
  assert.equal(pure.csvOf(curves, ["loss", "none"]), "run,curve,pairs,step,value\n"
    + "\"a,\"\"b\"\"\",loss,train,1,0.5\n\"a,\"\"b\"\"\",loss,held,0,0.6\n");
});

test("a range without points says so, and why", () => {
  const series = [{ points: [[1, 2], [5, -1]] }], range = (first, last, log = false) => ({ first, last, log });
  const note = (asked) => pure.rangeNote(series, pure.partOf(series, asked), asked);
  assert.equal(note(range(null, null)), "");
  assert.equal(note(range(1, 3)), "");
  assert.equal(note(range(9, null)), "No point from step 9; all steps are shown.");
  assert.equal(note(range(4, 2)), "No point from step 4 to step 2; all steps are shown.");
  assert.match(note(range(4, 9, true)), /no logarithm/);
  assert.equal(pure.rangeNote([], [], range(9, null)), "");
});

test("captions begin with the panel's and the untrained model's", () => {
  const sample = (step, panel = false) => ({ step, panel });
  const steps = (samples) => pure.sampleOrder(samples).map((part) => part.map(({ step }) => step));
  assert.deepEqual(steps([sample(0), sample(1), sample(2, true), sample(3)]), [[2, 0], [3, 1]]);
  assert.deepEqual(steps([sample(0), sample(1), sample(2)]), [[2, 0], [1]]);
  assert.deepEqual(steps([sample(0)]), [[0], []]);
  assert.deepEqual(steps([]), [[], []]);
  assert.equal(pure.sampleTitle(sample(3, true)), "step 3 · the panel");
  assert.equal(pure.sampleTitle(sample(0)), "step 0 · before");
});

test("memory by kind is summed a step", () => {
  const kinds = { steps: [1, 9], rows: [{ label: "a", values: [1, 2.5] }, { label: "b", values: [null, 3] }] };
  assert.deepEqual(pure.kindSums(kinds), [1, 5.5]);
  assert.deepEqual([null, 0.25, 12.6].map(pure.formatMegabytes), ["–", "0.3", "13"]);
});
