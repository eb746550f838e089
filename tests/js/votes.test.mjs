// The blind vote: the order of a seed, a state that holds no name, words as pieces, and what is sent.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const folder = new URL("../../halluapp/ui/compare/panels/", import.meta.url);
const read = (name) => readFileSync(new URL(name, folder), "utf8");
const source = ["difference.js", "vote/ballot.js"].map(read).join("\n");
const names = "shuffle, letterOf, wordPieces, hiddenState, voteData, tickKey, votedReport";
const pure = vm.runInThisContext("(function () {" + source + "\nreturn { " + names + " };\n})()", "ballot.js");

const SECRET = "secretname";
function panel(text, more) {
  return {
    method: SECRET, title: SECRET, source: SECRET, explanation: SECRET, reference: SECRET, rows: [SECRET],
    status: "end", error: "", text, tokens: [SECRET], mentions: [{ start: 0, end: 1, verdict: SECRET }],
    inventions: { expected: 1 },
    difference: { value: SECRET }, answer: SECRET, labels: SECRET, seconds: 1.5, passes: 7, note: SECRET,
    future: SECRET,
    ...more,
  };
}

test("the order of a seed is the server's", () => { // tests/unit/votes/test_tally.py has the same lists
  assert.equal(pure.shuffle([..."abcde"], 1).join(""), "ecbad");
  assert.equal(pure.shuffle([..."abcde"], 12345).join(""), "acdbe");
  assert.equal(pure.shuffle([...Array(13).keys()], 2 ** 32 - 1).join(), "1,6,5,3,0,12,8,4,10,9,7,2,11");
});

test("nothing of a hidden state but its texts tells the panels apart", () => {
  const state = {
    run: 3, panels: [panel("one"), panel("two"), panel("", { error: SECRET })], flags: [SECRET], detector: SECRET,
    measured: { x: SECRET }, vote: { order: [SECRET], ranks: { [SECRET]: 1 }, wrong: [] },
  };
  const hidden = pure.hiddenState(state, 5);
  assert.ok(!JSON.stringify(hidden).includes(SECRET));
  assert.deepEqual(hidden.panels.map((one) => one.title), ["Answer A", "Answer B", "Answer C"]);
  const order = pure.shuffle([0, 1, 2], 5).filter((index) => index < 2);
  assert.deepEqual(hidden.panels.map((one) => one.index), [...order, 2]);
  for (const one of hidden.panels) {
    assert.equal(one.text, state.panels[one.index].text);
    assert.equal(Boolean(one.error), one.index === 2);
  }
});

test("pieces are words and what stands between, without a gap", () => {
  const text = "A 🐕 dog's well-known bone, 狗!";
  const pieces = pure.wordPieces(text), characters = Array.from(text);
  assert.equal(pieces.map(({ s, e }) => characters.slice(s, e).join("")).join(""), text);
  assert.ok(pieces.some(({ s, e }) => characters.slice(s, e).join("") === "well-known"));
  assert.deepEqual(pure.wordPieces(""), []);
});

test("what is sent are indices, ranks that were given, and spans", () => {
  const ticks = new Set([pure.tickKey(2, { start: 4, end: 9 })]);
  assert.deepEqual(pure.voteData({ seed: 9, ranks: { 0: 1, 1: 0 }, ticks, complete: true }), {
    seed: 9, ranks: { 0: 1 }, wrong: [{ panel: 2, start: 4, end: 9 }], complete: true,
  });
});

test("letters go to Z, then numbers", () => {
  assert.deepEqual([0, 25, 26].map(pure.letterOf), ["A", "Z", "27"]);
});

test("of the history only what votes need is sent, and of reports without votes nothing", () => {
  assert.equal(pure.votedReport({ panels: [], votes: [] }), null);
  assert.equal(pure.votedReport({ panels: [] }), null);
  const mention = { start: 0, end: 3, verdict: "grounded", box: [0, 0, 1, 1] };
  const panels = [
    { method: "m", tokens: [1], parameters: { alpha: 1 }, error: null, mentions: [mention], text: "A dog." },
    { method: "f", title: "F", tokens: [], parameters: {}, error: "No weights.", mentions: [], text: "" },
    { method: "n", tokens: [1], parameters: {}, error: null, mentions: [], text: "A dog." },
  ];
  const model = { name: "one", detector: "d" };
  const sent = pure.votedReport({ prompt: "p", model, votes: [{ id: "v" }], panels });
  assert.deepEqual(sent, {
    votes: [{ id: "v" }], model: { name: "one" }, panels: [
      {
        method: "m", title: "", parameters: { alpha: 1 }, error: null,
        mentions: [{ start: 0, end: 3, verdict: "grounded" }], text: "0",
      },
      { method: "f", title: "F", parameters: {}, error: "No weights.", mentions: [], text: "1" },
      { method: "n", title: "", parameters: {}, error: null, mentions: [], text: "0" },
    ],
  });
});
