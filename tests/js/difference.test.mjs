// Where panels differ from the baseline, boxes and their numbers, the rows of the summary.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const pure = load("compare/panels/difference.js");
const mention = (object, verdict = "grounded", more = {}) => ({ object, verdict, box: null, label: null, ...more });
const stretches = (one, two) => pure.differences(one, two).map(({ start, end, instead }) => (
  [Array.from(two).slice(start, end).join(""), instead]
));

test("words keep their place in characters, whatever stands before them", () => {
  const words = pure.wordsOf("😀 The dog's 一只 Café!");
  assert.deepEqual(words.map(({ key }) => key), ["the", "dog's", "一", "只", "café"]);
  assert.deepEqual([words[0].start, words[0].end, words[4].start, words[4].end], [2, 5, 15, 19]);
});

test("equal texts do not differ, capitals and commas do not count", () => {
  assert.deepEqual(stretches("A dog, and a cat.", "a dog and a cat"), []);
  assert.deepEqual(stretches("", ""), []);
});

test("a stretch that differs knows what the baseline says there", () => {
  assert.deepEqual(stretches("a red kite in the sky", "a white boat in the sky"), [["white boat", "red kite"]]);
  assert.deepEqual(stretches("a dog", "a big dog"), [["big", ""]]);
  assert.deepEqual(stretches("a dog", "a dog and a cat"), [["and a cat", ""]]);
  assert.deepEqual(stretches("", "a dog"), [["a dog", ""]]);
  assert.deepEqual(stretches("a dog and a cat", "a dog"), []); // what is left out stands nowhere
});

test("the common words of two texts are in order in both, and as many as can be", () => {
  const one = pure.wordsOf("a b c d e"), two = pure.wordsOf("b x d a e");
  const pairs = pure.commonWords(one, two);
  assert.deepEqual(pairs.map(([k]) => one[k].key), ["b", "d", "e"]);
  for (const [k, m] of pairs) assert.equal(one[k].key, two[m].key);
});

test("a piece belongs to the stretch that it overlaps", () => {
  const spans = [{ start: 4, end: 9 }];
  assert.equal(pure.spanAt(spans, 3, 6), spans[0]);
  assert.equal(pure.spanAt(spans, 0, 4), undefined);
  assert.equal(pure.spanAt(spans, 9, 12), undefined);
});

test("things that only one text names are dropped or added, each once", () => {
  const dog = mention("dog"), kite = mention("kite", "contradicted"), cat = mention("cat");
  const { dropped, added } = pure.changedThings([dog, kite, kite], [dog, cat]);
  assert.deepEqual([dropped, added], [[kite], [cat]]);
});

test("boxes are those of what the texts name, one a thing", () => {
  const dog = mention("dog", "grounded", { box: [0, 0, 0.4, 1], label: "dog" });
  const man = mention("man", "not sure", { box: [0.5, 0, 1, 1] });
  const person = mention("person", "grounded", { box: [0.5, 0, 0.98, 1], label: "person" });
  const cat = mention("cat", "contradicted");
  const boxes = pure.namedBoxes([{ mentions: [dog, cat] }, { mentions: [dog, man, person] }]);
  assert.deepEqual(boxes.map(({ label }) => label), ["dog", "man"]);
  assert.deepEqual(pure.namedBoxes([]), []);
});

test("numbers of boxes never cover each other and stay on the photo", () => {
  const boxes = Array.from({ length: 12 }, (_, k) => ({ box: [0.9, 0.02 * k, 1, 1] })), size = [0.06, 0.07];
  const places = pure.numberPlaces(boxes, size);
  places.forEach(([x, y], k) => {
    assert.ok(x >= 0 && y >= 0 && x + size[0] <= 1 + 1e-9 && y + size[1] <= 1 + 1e-9);
    for (const [u, v] of places.slice(0, k)) assert.ok(Math.abs(x - u) >= size[0] || Math.abs(y - v) >= size[1]);
  });
  assert.deepEqual(pure.numberPlaces([{ box: [0.25, 0.5, 0.75, 1] }], size), [[0.25, 0.5]]);
});

test("a box is placed in percent of the photo", () => {
  assert.deepEqual(pure.boxStyle([0.25, 0, 0.75, 1]), { left: "25%", top: "0%", width: "50%", height: "100%" });
});

const inventions = (expected, named) => ({ expected, low: 0, high: named, named });
const panel = (method, more) => ({
  method, title: method, text: "a dog", tokens: [1, 2], error: "", seconds: 1, passes: 2, difference: null,
  inventions: inventions(1, 2), ...more,
});

test("a row of the summary counts words and says what a token costs against the baseline", () => {
  const rows = pure.stripRows([panel("baseline"), panel("vdd", { passes: 8, tokens: [1, 2, 3, 4] })]);
  assert.deepEqual(rows.map(({ words, cost, expected }) => [words, cost, expected]), [[2, 1, 1], [2, 2, 1]]);
});

test("a panel that failed or has just begun has no numbers, and no other one breaks", () => {
  const begun = panel("nullu", { seconds: null, passes: null, tokens: [], text: "", inventions: null });
  const rows = pure.stripRows([panel("vdd", { error: "No weights." }), begun]);
  const numbers = rows.map(({ expected, words, cost }) => [expected, words, cost]);
  assert.deepEqual(numbers, [[null, null, null], [null, 0, null]]);
});

test("rows are sorted by a column both ways, those without a value last", () => {
  const rows = pure.stripRows([
    panel("baseline"), panel("a", { inventions: null }), panel("b", { inventions: inventions(0.5, 2) }),
  ]);
  const order = (sort) => pure.sortedRows(rows, sort).map(({ method }) => method);
  assert.deepEqual(order({ key: "", down: false }), ["baseline", "a", "b"]);
  assert.deepEqual(order({ key: "expected", down: false }), ["b", "baseline", "a"]);
  assert.deepEqual(order({ key: "expected", down: true }), ["baseline", "b", "a"]);
  assert.deepEqual(order({ key: "title", down: true }), ["baseline", "b", "a"]);
  assert.equal(pure.COLUMNS.length, 6);
});

test("differences carry their sign and their interval", () => {
  assert.equal(pure.differenceText({ value: -1.34, low: -2.2, high: -0.04 }), "−1.3 [−2.2, 0.0]");
  assert.equal(pure.differenceText({ value: 0.5, low: -0.1, high: 1 }), "+0.5 [−0.1, +1.0]");
  assert.equal(pure.differenceText(null), "–");
});

test("expected inventions stand with what they are out of, and with their interval in words", () => {
  const one = { expected: 1.84, low: 0.62, high: 3.06, named: 5 };
  assert.equal(pure.inventionsText(one), "1.8 of 5");
  assert.equal(pure.inventionsText(null), "–");
  assert.match(pure.inventionsTitle(one), /^1\.8 of 5 named things .* 0\.6 to 3\.1\)$/);
});

test("of several samples the summary shows means and how far they are spread", () => {
  const spread = {
    n: 4, words: 51.6, named: 6.25, mean: 1.84, deviation: 0.61, least: 1, most: 2.7,
    difference: { value: -0.5, low: -1.2, high: 0.2 },
  };
  const [row] = pure.stripRows([{ method: "vdd", text: "a", inventions: null, difference: null, error: "", spread }]);
  assert.equal(pure.inventionsText(row.inventions), "1.8 ± 0.6 (sd) of 6.3");
  assert.equal(pure.differenceText(row.interval), "−0.5 [−1.2, +0.2]");
  assert.deepEqual([row.expected, row.difference, row.words], [1.84, -0.5, 52]);
  assert.match(pure.inventionsTitle(row.inventions), /^Mean of 4 samples: 1\.8 of 6\.3 .* from 1\.0 to 2\.7$/);
  const one = { ...spread, mean: null, deviation: null, difference: null };
  const [unknown] = pure.stripRows([{ method: "vdd", text: "a", spread: one }]);
  assert.deepEqual([unknown.inventions, unknown.expected, unknown.difference], [null, null, null]);
});
