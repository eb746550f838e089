// Two reports side by side: the settings that differ, the methods of either, and what is new in each text. Pure.
const SAMPLING_NAMES = {
  max_new_tokens: "Max new tokens", temperature: "Temperature", top_p: "Top-p", top_k: "Top-k",
  repetition_penalty: "Repetition penalty", ignore_end: "Ignore the end", stop: "Stop at",
};
const SAMPLING_DEFAULTS = { repetition_penalty: 0, ignore_end: false, stop: [] };

// Rows of one report: [{ name, code, value }]; name: a text of the page; code: what a file or a method calls it, or "".
function settingRows({ prompt, model, seed, sampling, sure, samples, versions }) {
  const row = (name, value, code = "") => ({ name, code, value });
  const chosen = sampling ? { ...SAMPLING_DEFAULTS, ...sampling } : {};
  return [
    row("Prompt", prompt), row("Model", model.name), row("Weights", [model.quantization, model.dtype].filter(Boolean)),
    row("Detector", model.detector), row("Seed", seed),
    ...Object.entries(SAMPLING_NAMES).map(([key, name]) => row(name, chosen[key])),
    row("Samples", samples || 1), row("How sure verdicts must be", sure),
    ...Object.keys(versions || {}).sort().map((name) => row("Version", versions[name], name)),
  ];
}

// Parameters of the methods that both reports have: a method that only one has differs as a whole.
function parameterRows(panel) {
  return Object.entries(panel.parameters || {}).map(([code, value]) => ({ name: titleOf(panel), code, value }));
}

function titleOf({ title, method }) {
  return title || method;
}

// What differs between two lists of rows: [{ name, code, values: [first, second] }], in the order of the first.
function differentRows(first, second) {
  const key = ({ name, code }) => name + "\n" + code, values = [first, second].map((rows) => (
    new Map(rows.map((row) => [key(row), row.value === undefined ? null : row.value]))
  ));
  const rows = new Map([...first, ...second].map((row) => [key(row), row]));
  return [...rows].map(([id, { name, code }]) => (
    { name, code, values: values.map((one) => (one.has(id) ? one.get(id) : null)) }
  )).filter(({ values: [one, two] }) => JSON.stringify(one) !== JSON.stringify(two));
}

// Methods of either report, those of the first in its order: [[panel or null, panel or null]].
function panelPairs(first, second) {
  const panel = (report, method) => report.panels.find((one) => one.method === method) || null;
  const methods = new Set([...first.panels, ...second.panels].map((one) => one.method));
  return [...methods].map((method) => [panel(first, method), panel(second, method)]);
}

function settingDifferences(first, second) {
  const both = panelPairs(first, second).filter(([one, two]) => one && two);
  return [
    ...differentRows(settingRows(first), settingRows(second)),
    ...both.flatMap(([one, two]) => differentRows(parameterRows(one), parameterRows({ ...two, title: titleOf(one) }))),
  ];
}

// Words of two texts are comparable where both answer the same question about the same photo.
function sameGrounds(first, second) {
  const photo = first.photo.sha256 === second.photo.sha256;
  return { photo, words: photo && first.prompt === second.prompt };
}

// Numbers of an answer: inventions as `inventionsText` takes them (or null), expected (or null), words, samples.
function answerNumbers(panel) {
  const { spread } = panel, several = spread && spread.n > 1;
  const { inventions, expected, words } = several ? spreadCells(spread) : answerCells(panel);
  return { inventions, expected, words, samples: several ? spread.n : 1 };
}

// Second minus first: { expected, words }, each null where one of both has no number.
function numberDifference(first, second) {
  const minus = (one, two) => (one === null || two === null ? null : two - one);
  return { expected: minus(first.expected, second.expected), words: minus(first.words, second.words) };
}

// The pieces of a text against the other's: { text, verdict, differs, instead }; other: null marks nothing.
function contrastPieces({ text, mentions }, other) {
  const spans = other === null ? [] : differences(other, text);
  const tokens = spans.map(({ start, end }) => ({ s: start, e: end }));
  return textPieces({ text, tokens, mentions }).map((piece) => ({
    text: piece.text, verdict: piece.verdict, first: piece.first,
    differs: piece.token >= 0, instead: piece.token >= 0 ? spans[piece.token].instead : "",
  }));
}
