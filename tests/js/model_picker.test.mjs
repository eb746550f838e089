// What the list of models says about one of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const pure = load("model_picker/pure.js");
const words = { needs: "memory", loaded: "loaded" };
const row = {
  facts: "7.1 B parameters", needs: { nf4: "about 7 GB to start", none: "about 16 GB to start" },
  problems: { nf4: "", none: "too large" }, loaded: false,
};
const state = { words, quantization: "nf4", fixed: "", busy: false };

test("the memory is that of the chosen quantization", () => {
  assert.equal(pure.modelLine(row, "nf4", words), "7.1 B parameters · memory about 7 GB to start");
  assert.equal(pure.modelLine({ ...row, facts: "" }, "none", words), "memory about 16 GB to start");
});

test("a button stands where a model can be loaded, else the reason", () => {
  assert.deepEqual(pure.modelAction(row, "nf4", state), { button: true, text: "" });
  assert.deepEqual(pure.modelAction(row, "none", state), { button: false, text: "too large" });
  assert.equal(pure.modelAction(row, "nf4", { ...state, busy: true }).button, false);
  assert.equal(pure.modelAction(row, "nf4", { ...state, fixed: "one model" }).button, false);
  const loaded = { ...row, loaded: true, problems: { nf4: "", none: "" } };
  assert.deepEqual(pure.modelAction(loaded, "nf4", state), { button: false, text: "loaded" });
  assert.equal(pure.modelAction(loaded, "none", state).button, true); // the same model, quantized otherwise
});
