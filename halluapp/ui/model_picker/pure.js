"use strict";
// What the list of models says about one of them, by the chosen quantization.
const modelLine = (row, quantization, words) =>
  [row.facts, words.needs + " " + row.needs[quantization]].filter(Boolean).join(" · ");

// Why a row has no button: it is loaded, it cannot be loaded, or nothing can be loaded now.
function modelAction(row, quantization, state) {
  if (row.loaded && quantization === state.quantization) return { button: false, text: state.words.loaded };
  const problem = row.problems[quantization];
  if (problem) return { button: false, text: problem };
  return { button: !state.fixed && !state.busy, text: "" };
}
