// Verdicts in the browser while the sureness slider moves: those of halluapp/grounding/evidence.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "./load.mjs";

const { cutsAt, verdictAt } = load("compare/panels/sureness.js");
// Written by Python's own rule.
const table = JSON.parse(readFileSync(new URL("sureness.json", import.meta.url), "utf8"));

test("cuts at any sureness are the server's", () => {
  for (const { sure, cuts } of table.cuts) {
    cutsAt(table.judge.cuts, sure).forEach((cut, k) => assert.ok(Math.abs(cut - cuts[k]) < 1e-9, `${sure}`));
  }
});

test("verdicts at any sureness are the server's, people and labels without support included", () => {
  assert.ok(table.verdicts.length > 100);
  for (const { label, p, sure, verdict } of table.verdicts) {
    assert.equal(verdictAt({ presence: p, checked_as: label, verdict: "" }, table.judge, sure), verdict);
  }
});

test("what has no probability keeps its verdict", () => {
  const mention = { presence: null, checked_as: null, verdict: "not checkable" };
  assert.equal(verdictAt(mention, table.judge, 0.5), "not checkable");
});
