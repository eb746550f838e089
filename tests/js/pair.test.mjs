// Two reports side by side: what differs in the settings, methods of either, marked words, numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const FOLDER = "compare/panels/";
const pure = load(...["pure.js", "difference.js", "pair/contrast.js"].map((name) => FOLDER + name));
const panel = (method, text, more = {}) => ({
  method, title: method.toUpperCase(), text, error: null, parameters: {}, mentions: [], inventions: null,
  difference: null, spread: null, ...more,
});
const sampling = { max_new_tokens: 64, temperature: 0, top_p: 1, top_k: 0, seed: 0 };
const report = (more = {}) => ({
  prompt: "p", seed: 0, sure: 0.9, samples: 1, sampling, model: { name: "pocket" }, photo: { sha256: "a" },
  versions: { torch: "2" }, panels: [], ...more,
});

test("equal settings give no row, and an older report's missing fields are the defaults", () => {
  const newer = report({ sampling: { ...sampling, repetition_penalty: 0, ignore_end: false, stop: [] } });
  assert.deepEqual(pure.settingDifferences(report(), newer), []);
});

test("only what differs is a row, with both values", () => {
  const second = report({
    prompt: "q", seed: 7, sure: 0.8, sampling: { ...sampling, temperature: 0.5 }, versions: { torch: "3", numpy: "1" },
  });
  const rows = pure.settingDifferences(report(), second).map(({ name, code, values }) => [name, code, ...values]);
  assert.deepEqual(rows, [
    ["Prompt", "", "p", "q"], ["Seed", "", 0, 7], ["Temperature", "", 0, 0.5],
    ["How sure verdicts must be", "", 0.9, 0.8], ["Version", "torch", "2", "3"], ["Version", "numpy", null, "1"],
  ]);
  const [row] = pure.settingDifferences(report({ sampling: null }), report());
  assert.deepEqual([row.name, row.values], ["Max new tokens", [null, 64]]);
});

test("parameters are compared for methods of both, whatever title each has", () => {
  const first = report({ panels: [panel("vcd", "", { parameters: { alpha: 1, beta: 0 } }), panel("a", "")] });
  const second = report({ panels: [panel("vcd", "", { title: "New", parameters: { alpha: 2, beta: 0 } }),
    panel("b", "", { parameters: { gamma: 1 } })] });
  assert.deepEqual(pure.settingDifferences(first, second), [{ name: "VCD", code: "alpha", values: [1, 2] }]);
});

test("methods of either are paired, those of the first before others", () => {
  const first = report({ panels: [panel("a", "1"), panel("b", "2")] });
  const second = report({ panels: [panel("c", "3"), panel("a", "4")] });
  const texts = pure.panelPairs(first, second).map((pair) => pair.map((one) => one && one.text));
  assert.deepEqual(texts, [["1", "4"], ["2", null], [null, "3"]]);
});

test("words are marked on the same photo and prompt only", () => {
  assert.deepEqual(pure.sameGrounds(report(), report({ seed: 4 })), { photo: true, words: true });
  assert.deepEqual(pure.sameGrounds(report(), report({ prompt: "q" })), { photo: true, words: false });
  assert.deepEqual(pure.sameGrounds(report(), report({ photo: { sha256: "b" } })), { photo: false, words: false });
});

test("pieces keep the whole text, mark what the other has not, and know the verdict", () => {
  const mentions = [{ start: 4, end: 9, verdict: "contradicted" }];
  const answer = panel("a", "🐕 a white kite.", { mentions });
  const pieces = pure.contrastPieces(answer, "a red kite");
  assert.equal(pieces.map((one) => one.text).join(""), answer.text);
  assert.deepEqual(pieces.filter((one) => one.differs), [
    { text: "white", verdict: "contradicted", first: true, differs: true, instead: "red" },
  ]);
  assert.ok(pure.contrastPieces(answer, null).every((one) => !one.differs));
  assert.deepEqual(pure.contrastPieces(panel("a", ""), "a dog"), []);
});

test("numbers are means where there are samples, and nothing is subtracted from nothing", () => {
  const inventions = { expected: 1.5, low: 0, high: 3, named: 4 };
  const one = pure.answerNumbers(panel("a", "a dog and a cat", { inventions }));
  assert.deepEqual([one.expected, one.words, one.samples], [1.5, 5, 1]);
  const spread = { n: 3, words: 7.4, named: 4, mean: 2, deviation: 1, least: 1, most: 3, difference: null };
  const several = pure.answerNumbers(panel("a", "a dog", { inventions, spread }));
  assert.deepEqual([several.expected, several.words, several.samples], [2, 7, 3]);
  assert.deepEqual(pure.numberDifference(one, several), { expected: 0.5, words: 2 });
  const none = pure.answerNumbers(panel("a", ""));
  assert.deepEqual(pure.numberDifference(one, none), { expected: null, words: -5 });
});
