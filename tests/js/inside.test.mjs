// What the fold "Look inside" computes: words, keys of answers, shades, maps, stacked shares.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const pure = load("shared/dom.js", "inside/texts.js", "inside/pure.js");

test("a text is cut into words and what stands between them, by characters and not by code units", () => {
  const panel = { text: "😀 A dog, <b>", words: [[2, 3, null], [4, 7, null], [10, 11, null]] };
  const pieces = pure.wordPieces(panel);
  assert.equal(pieces.map(({ text }) => text).join(""), panel.text);
  assert.deepEqual(pieces.filter(({ number }) => number).map(({ text }) => text), ["A", "dog", "b"]);
  assert.deepEqual([0, 3, 5, 11].map((start) => pure.wordAt(panel, start)), [1, 2, 2, 1]);
});

test("the first thing with a box is chosen when nobody has chosen", () => {
  assert.equal(pure.firstWord({ words: [[0, 1, null], [2, 3, [0, 0, 1, 1]]] }), 2);
  assert.equal(pure.firstWord({ words: [[0, 1, null]] }), 1);
});

test("views that no word decides have one answer a panel", () => {
  const key = (view, word, box) => pure.answerKey({ view, method: "vdd", word, box });
  assert.equal(key("prior", 1, null), key("prior", 2, null));
  assert.notEqual(key("evidence", 1, null), key("evidence", 2, null));
  assert.notEqual(key("counterfactual", 1, null), key("counterfactual", 1, [0, 0, 1, 0.5]));
  assert.equal(new Set(pure.VIEWS.map(([name]) => name)).size, 8);
});

test("shades grow with what the photo adds or takes away, and stay light enough to read on", () => {
  const shades = pure.shades({ text: "a dog", ends: [1, 5], reliance: [-8, 2] });
  assert.deepEqual(shades.map(({ text }) => text), ["a", " dog"]);
  assert.deepEqual(shades.map(({ side }) => side), ["--against", "--for"]);
  assert.ok(shades[0].alpha === 0.4 && Math.abs(shades[1].alpha - 0.2) < 1e-9);
  assert.deepEqual(pure.trend([1, -1], 100, 10), { points: "0.0,0.0 100.0,10.0", zero: 5 });
  assert.equal(pure.trend([0], 100, 10).zero, 10);
});

test("the strongest cell of a map is the brightest, what speaks against the word has the other colour", () => {
  const cells = pure.heatCells([{ box: [0, 0, 1, 1], value: 2 }, { box: [0, 0, 0.5, 1], value: -1 }]);
  assert.deepEqual(cells.map(({ side }) => side), ["--heat", "--against"]);
  assert.ok(cells[0].alpha === 0.85 && cells[1].alpha === 0.425);
  assert.ok(pure.heatCells([{ box: [0, 0, 1, 1], value: 0 }])[0].alpha === 0);
  assert.deepEqual(pure.boxStyle([0.25, 0, 0.75, 1]), { left: "25%", top: "0%", width: "50%", height: "100%" });
});

test("things and words that say something survive, articles do not count", () => {
  const words = [["A", null], ["dog", true], ["and", null], ["a", null], ["cat", false]];
  assert.equal(
    pure.survivorLine({ things: [["dog", true], ["cat", false]], words }),
    "Of 2 named things 1 survive. Of 2 words, articles and the like left out, 1 survive; the others are struck out.",
  );
  assert.ok(pure.survivorLine({ things: [], words }).startsWith("The answer names no thing. Of 2 words"));
});

test("shares are stacked one on the other", () => {
  const [row] = pure.stacked([[0.5, 0.25, 0.25]]);
  assert.deepEqual(row, [{ start: 0, size: 0.5 }, { start: 0.5, size: 0.25 }, { start: 0.75, size: 0.25 }]);
  assert.equal(pure.mean([]), 0);
});

test("numbers read as they should", () => {
  const expected = [[null, "–"], [0.5, "50 %"], [0.05, "5.0 %"], [0.0001, "0.010 %"]];
  for (const [p, text] of expected) assert.equal(pure.percent(p), text);
  assert.equal(pure.signed(-1.234, 2), "−1.23");
  assert.equal(pure.signed(0.5, 1), "+0.5");
  assert.equal(pure.visibleToken("  "), "␣");
});
