// What the panels of Compare show: pieces of text, counts, boxes, evidence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const pure = load("compare/panels/pure.js");
const EVIL = "<img src=x onerror=alert(1)>";

function token(s, e, more) {
  return { s, e, t: "t", p: 0.5, main: 0.4, ref: null, branches: [0.4], top: [], instead: null, ...more };
}
function mention(start, end, verdict = "grounded") {
  return { start, end, verdict };
}
function texts(data) {
  return pure.textPieces(data).map((piece) => piece.text);
}

test("an empty answer has no pieces", () => {
  assert.deepEqual(pure.textPieces({ text: "", tokens: [], mentions: [] }), []);
});

test("a text without tokens and mentions is one piece that belongs to none", () => {
  const [piece, ...others] = pure.textPieces({ text: "A dog.", tokens: [], mentions: [] });
  assert.equal(others.length, 0);
  assert.deepEqual([piece.text, piece.token, piece.mention, piece.verdict], ["A dog.", -1, -1, ""]);
});

test("pieces put together are the text, whatever the cuts are", () => {
  const tokens = [token(0, 3), token(3, 9), token(9, 15)], mentions = [mention(2, 5), mention(12, 15)];
  const data = { text: "A dog and a cat", tokens, mentions };
  assert.equal(texts(data).join(""), data.text);
  assert.deepEqual(texts(data), ["A ", "d", "og", " and", " a ", "cat"]);
});

test("a piece knows its token, its mention and whether the mention begins there", () => {
  const data = { text: "hot dog", tokens: [token(0, 5), token(5, 7)], mentions: [mention(0, 7, "contradicted")] };
  const pieces = pure.textPieces(data);
  assert.deepEqual(pieces.map(({ token: index }) => index), [0, 1]);
  assert.deepEqual(pieces.map(({ mention: index }) => index), [0, 0]);
  assert.deepEqual(pieces.map(({ first }) => first), [true, false]);
  assert.ok(pieces.every(({ verdict }) => verdict === "contradicted"));
});

test("positions count characters: an emoji before a word does not move its mark", () => {
  const tokens = [token(0, 3), token(3, 7), token(7, 10)];
  const data = { text: "😀 a dog 🐶!", tokens, mentions: [mention(4, 7)] };
  const marked = pure.textPieces(data).filter((piece) => piece.mention === 0).map((piece) => piece.text);
  assert.deepEqual(marked, ["dog"]);
  assert.equal(texts(data).join(""), data.text);
});

test("letters with accents and of other scripts stay whole", () => {
  const tokens = [token(0, 8), token(8, 13)], mentions = [mention(4, 8), mention(12, 13)];
  const pieces = pure.textPieces({ text: "Ein Café, 一只狗", tokens, mentions });
  assert.deepEqual(pieces.filter((piece) => piece.mention >= 0).map((piece) => piece.text), ["Café", "狗"]);
});

test("hostile text stays text: it comes out as it came in", () => {
  const data = { text: EVIL + "</s>", tokens: [token(0, 10), token(10, EVIL.length + 4)], mentions: [mention(5, 8)] };
  assert.equal(texts(data).join(""), EVIL + "</s>");
  assert.equal(pure.visibleToken(EVIL), EVIL);
});

test("a mention beyond the text that has arrived is left out", () => {
  assert.equal(texts({ text: "A d", tokens: [token(0, 3)], mentions: [mention(2, 30)] }).join(""), "A d");
});

test("a token without text takes no piece", () => {
  const pieces = pure.textPieces({ text: "dog", tokens: [token(0, 0), token(0, 3), token(3, 3)], mentions: [] });
  assert.deepEqual(pieces.map((piece) => [piece.text, piece.token]), [["dog", 1]]);
});

test("a piece knows where it stands in the text", () => {
  const pieces = pure.textPieces({ text: "a b", tokens: [token(0, 1), token(1, 3)], mentions: [] });
  assert.deepEqual(pieces.map(({ start, end }) => [start, end]), [[0, 1], [1, 3]]);
});

test("only the tail is drawn again while a text grows", () => {
  const before = pure.textPieces({ text: "A dog", tokens: [token(0, 1), token(1, 5)], mentions: [] });
  const after = pure.textPieces({ text: "A dog and", tokens: [token(0, 1), token(1, 5), token(5, 9)], mentions: [] });
  assert.equal(pure.samePieces(before, after), 2);
  const judged = pure.textPieces({ text: "A dog", tokens: [token(0, 1), token(1, 5)], mentions: [mention(2, 5)] });
  assert.equal(pure.samePieces(before, judged), 1);
  assert.equal(pure.samePieces([], after), 0);
});

test("tokens are parsed once and keep their identity", () => {
  const parsed = pure.parseTokens([], ['{"t":"a"}']), first = parsed[0];
  assert.equal(pure.parseTokens(parsed, ['{"t":"a"}', '{"t":"<b>"}']), parsed);
  assert.equal(parsed[0], first);
  assert.equal(parsed[1].t, "<b>");
});

test("probabilities are readable at every size", () => {
  const expected = [
    [null, "–"], [undefined, "–"], [0, "0.00 %"], [0.0004, "0.04 %"], [0.001, "0.1 %"], [0.05, "5.0 %"],
    [0.0994, "9.9 %"], [0.0995, "10 %"], [1, "100 %"],
  ];
  for (const [p, text] of expected) assert.equal(pure.percent(p), text);
});

test("the cost of an answer that took no time is no division by zero", () => {
  const data = { tokens: [1, 2], seconds: 0, passes: 4 };
  assert.equal(pure.costLine(data), "2 tokens · 0.00 s · 0 tok/s · 4 forward passes");
  assert.equal(pure.costLine({ ...data, seconds: 0.5 }), "2 tokens · 0.50 s · 4 tok/s · 4 forward passes");
});

test("the legend says how often a verdict was right, and nothing where nobody measured", () => {
  const grounded = { precision: 0.94, low: 0.92, high: 0.96, n: 512 };
  const measured = { grounded, contradicted: { precision: null, n: 0 } };
  const full = "right in 94 % [92 %, 96 %] of 512 measured mentions";
  assert.deepEqual(pure.measuredTexts(measured, "grounded"), [", right in 94 %", full]);
  const short = pure.measuredTexts({ grounded: { precision: 0.9, n: 3 } }, "grounded");
  assert.deepEqual(short, [", right in 90 %", "right in 90 % of 3 measured mentions"]);
  assert.deepEqual(pure.measuredTexts(measured, "contradicted"), ["", ""]);
  assert.deepEqual(pure.measuredTexts(measured, "not sure"), ["", ""]);
  for (const nothing of [{}, null, undefined]) assert.deepEqual(pure.measuredTexts(nothing, "grounded"), ["", ""]);
});

test("a judged answer is said as it was given", () => {
  const answer = { answer: EVIL, verdict: "wrong", reason: "p(dog in photo) = 0.97" };
  assert.equal(pure.answerLine(answer), "The answer “" + EVIL + "” is wrong: p(dog in photo) = 0.97");
});

test("evidence names the method, the reference and the branches", () => {
  const mine = token(0, 3, { t: " dog", ref: 0.1, branches: [0.4, 0.2, 0.3] });
  const data = { title: "VDD", reference: "without a photo", rows: ["photo", "none", "unk"], tokens: [mine] };
  assert.deepEqual(pure.evidenceRows(data, mine), [
    ["VDD", "50 %"], ["model with the photo", "40 %"], ["without a photo", "10 %"], ["– with none", "20 %"],
    ["– with unk", "30 %"],
  ]);
});

test("another panel has a probability only where its text was the same up to there", () => {
  const a = token(0, 1, { t: "A" }), dog = token(1, 5, { t: " dog" });
  const data = { method: "vdd", title: "VDD", tokens: [a, dog] };
  const panels = [
    data, { method: "same", title: "Same", tokens: [a, token(1, 5, { t: " dog", p: 0.6 })] },
    { method: "top", title: "Top", tokens: [a, token(1, 5, { t: " cat", top: [[" dog", 0.3]] })] },
    { method: "other", title: "Other", tokens: [a, token(1, 5, { t: " cat" })] },
    { method: "apart", title: "Apart", tokens: [token(0, 3, { t: "The" }), dog] },
    { method: "short", title: "Short", tokens: [a] },
  ];
  assert.deepEqual(pure.otherRows(data, 1, panels), [
    ["Same", " dog", 0.6], ["Top", " cat", 0.3], ["Other", " cat", null], ["Apart", null, null], ["Short", null, null],
  ]);
});

test("a token of spaces is visible", () => {
  assert.equal(pure.visibleToken(" \n"), "␣");
  assert.equal(pure.visibleToken(" dog"), "dog");
});

test("pinned panels stand first, in the order in which they were pinned; one that is not there is left out", () => {
  assert.deepEqual(pure.panelOrder(["a", "b", "c"], ["c", "gone", "a"]), ["c", "a", "b"]);
  assert.deepEqual(pure.panelOrder(["a", "b"], []), ["a", "b"]);
});

test("a panel is shown as any of its samples, the first of which it is itself", () => {
  const panel = { method: "vdd", text: "a dog", samples: [{ seed: 8, text: "a cat" }, { seed: 9, text: "a cow" }] };
  assert.equal(pure.answerOf(panel, 0), panel);
  assert.deepEqual(pure.answerOf(panel, 2), { ...panel, seed: 9, text: "a cow" });
  assert.equal(pure.sampleLabel(panel, 1), "2 / 3");
  assert.equal(pure.sampleTitle(panel, 0), "Sample 1 of 3, in every panel.");
  assert.equal(pure.sampleTitle(panel, 2), "Sample 3 of 3 (seed 9), in every panel.");
});
