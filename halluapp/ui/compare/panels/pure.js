"use strict";
// What the panels show, computed from the state of halluapp/ui/compare/state.py without touching the page.
const VERDICT_CLASSES = {
  grounded: "grounded", contradicted: "contradicted", "not sure": "unsure", "not checkable": "unknown",
};
const SIGNS = { grounded: "✓", contradicted: "✗", "not sure": "~", "not checkable": "?" };
const STATUS_LABELS = {
  waiting: "waiting", decoding: "decoding…", end: "done", length: "done (length limit)", stopped: "stopped",
  failed: "failed",
};

function percent(p) {
  if (p === null || p === undefined) return "–";
  if (p >= 0.0995) return (100 * p).toFixed(0) + " %";
  return (100 * p).toFixed(p < 0.001 ? 2 : 1) + " %";
}

// Tokens come as JSON strings and are only ever appended; each is parsed once. parsed: those of earlier states.
function parseTokens(parsed, strings) {
  while (parsed.length < strings.length) parsed.push(JSON.parse(strings[parsed.length]));
  return parsed;
}

// Cuts the text where tokens and mentions begin and end -> pieces that know their token and their mention.
// Positions are Python's: they count characters, not the two units that JavaScript keeps for an emoji.
function textPieces(data) {
  const characters = Array.from(data.text), cuts = new Set([0, characters.length]);
  data.tokens.forEach((token) => { cuts.add(token.s); cuts.add(token.e); });
  data.mentions.forEach((mention) => { cuts.add(mention.start); cuts.add(mention.end); });
  const points = [...cuts].filter((cut) => cut <= characters.length).sort((a, b) => a - b), pieces = [];
  for (let k = 0, index = 0; k + 1 < points.length; k++) {
    const [start, end] = [points[k], points[k + 1]];
    while (index < data.tokens.length && data.tokens[index].e <= start) index++; // tokens come in order
    const token = index < data.tokens.length && data.tokens[index].s <= start ? index : -1;
    const mention = data.mentions.findIndex((one) => one.start <= start && end <= one.end);
    const first = mention >= 0 && data.mentions[mention].start === start;
    const verdict = mention >= 0 ? data.mentions[mention].verdict : "";
    const key = [start, end, token, mention, verdict].join();
    pieces.push({ text: characters.slice(start, end).join(""), start, end, token, mention, first, verdict, key });
  }
  return pieces;
}

// A panel as one of its samples: 0 is the panel itself, further ones stand in its list.
function answerOf(panel, number) {
  return number ? { ...panel, ...panel.samples[number - 1] } : panel;
}

function sampleLabel(panel, number) {
  return number + 1 + " / " + (panel.samples.length + 1);
}

function sampleTitle(panel, number) {
  const seed = number ? " (seed " + panel.samples[number - 1].seed + ")" : "";
  return "Sample " + (number + 1) + " of " + (panel.samples.length + 1) + seed + ", in every panel.";
}

// How many pieces at the beginning are as they were drawn: only the tail can change.
function samePieces(drawn, pieces) {
  let same = 0;
  while (same < pieces.length && same < drawn.length && drawn[same].key === pieces[same].key) same++;
  return same;
}

// Methods in the order of the page: pinned ones first, as they were pinned, then the others as they came.
function panelOrder(methods, pinned) {
  return [...pinned.filter((one) => methods.includes(one)), ...methods.filter((one) => !pinned.includes(one))];
}

function costLine(data) {
  const rate = data.seconds > 0 ? data.tokens.length / data.seconds : 0;
  return [
    data.tokens.length + " tokens", data.seconds.toFixed(2) + " s", rate.toFixed(0) + " tok/s",
    data.passes + " forward passes",
  ].join(" · ");
}

// How often a verdict was right where it was measured: [in short, in full]; empty where it was not.
function measuredTexts(measured, verdict) {
  const one = measured && measured[verdict];
  if (!one || one.precision === null || one.precision === undefined) return ["", ""];
  const known = one.low !== null && one.low !== undefined;
  const range = known ? " [" + percent(one.low) + ", " + percent(one.high) + "]" : "";
  const right = "right in " + percent(one.precision);
  return [", " + right, right + range + " of " + one.n + " measured mentions"];
}

function answerLine(answer) {
  return "The answer “" + answer.answer + "” is " + answer.verdict + ": " + answer.reason;
}

// [name, probability] of what the token was worth under its own method and each of its branches.
function evidenceRows(data, token) {
  const rows = [[data.title, percent(token.p)], ["model with the photo", percent(token.main)]];
  if (token.ref !== null) rows.push([data.reference || "reference", percent(token.ref)]);
  if (token.branches.length > 2) {
    token.branches.slice(1).forEach((p, k) => rows.push(["– with " + data.rows[k + 1], percent(p)]));
  }
  return rows;
}

// [title, what the text says there, probability of the same token or null, whether it is the same token] of the other
// panels, while their texts have been the same up to this token: a probability given another text says nothing here.
function otherRows(data, index, panels) {
  const token = data.tokens[index];
  return panels.filter((other) => other.method !== data.method).map((other) => {
    const prefix = other.tokens.slice(0, index).every((one, k) => one.t === data.tokens[k].t);
    const same = prefix ? other.tokens[index] : undefined;
    if (!same) return [other.title, null, null];
    const alternative = same.top.find(([text]) => text === token.t);
    return [other.title, same.t, same.t === token.t ? same.p : alternative ? alternative[1] : null];
  });
}

function visibleToken(text) {
  return text.trim() || "␣";
}
