"use strict";
// What the panels show, computed from the state of halluapp/ui/compare/state.py without touching the page.
const VERDICT_CLASSES = {
  grounded: "grounded", contradicted: "contradicted", "not sure": "unsure", "not checkable": "unknown",
};
const SIGNS = [["✓", "grounded"], ["✗", "contradicted"], ["~", "not sure"], ["?", "not checkable"]];
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
    const changed = token >= 0 && data.tokens[token].instead !== null;
    const key = [start, end, token, mention, verdict, changed].join();
    pieces.push({ text: characters.slice(start, end).join(""), token, mention, first, verdict, changed, key });
  }
  return pieces;
}

// How many pieces at the beginning are as they were drawn: only the tail can change.
function samePieces(drawn, pieces) {
  let same = 0;
  while (same < pieces.length && same < drawn.length && drawn[same].key === pieces[same].key) same++;
  return same;
}

// [sign, number of mentions, verdict] of every verdict.
function verdictCounts(mentions) {
  return SIGNS.map(([sign, verdict]) => (
    [sign, mentions.filter((mention) => mention.verdict === verdict).length, verdict]
  ));
}

function costLine(data) {
  const rate = data.seconds > 0 ? data.tokens.length / data.seconds : 0;
  return [
    data.tokens.length + " tokens", data.seconds.toFixed(2) + " s", rate.toFixed(0) + " tok/s",
    data.passes + " forward passes",
  ].join(" · ");
}

// "1.8 [0.6, 3.1] of 5 things": sum of 1 - p over the named things, each once, with the interval of their number.
function inventionsLine(inventions) {
  const { expected, low, high, named } = inventions, things = named === 1 ? "thing" : "things";
  return expected.toFixed(1) + " [" + low.toFixed(1) + ", " + high.toFixed(1) + "] of " + named + " " + things;
}

// Boxes of what the texts name, each once: [{ box, label }].
function namedBoxes(panels) {
  const boxes = new Map();
  for (const panel of panels) {
    for (const { box, label, object } of panel.mentions) {
      if (box && !boxes.has(box.join())) boxes.set(box.join(), { box, label: label || object });
    }
  }
  return [...boxes.values()];
}

// How often a verdict was right where it was measured; "" where it was not.
function measuredText(measured, verdict) {
  const one = measured && measured[verdict];
  if (!one || one.precision === null || one.precision === undefined) return "";
  const known = one.low !== null && one.low !== undefined;
  const range = known ? " [" + percent(one.low) + ", " + percent(one.high) + "]" : "";
  return " – right in " + percent(one.precision) + range + " of " + one.n + " measured";
}

function answerLine(answer) {
  return "The answer “" + answer.answer + "” is " + answer.verdict + ": " + answer.reason;
}

// A box [x0, y0, x1, y1] in 0..1 -> its place on the photo.
function boxStyle([x0, y0, x1, y1]) {
  const [left, top, width, height] = [x0, y0, x1 - x0, y1 - y0].map((value) => 100 * value + "%");
  return { left, top, width, height };
}

// [name, probability] of what the token was worth: under this method, its branches and the other panels.
function evidenceRows(data, token, panels) {
  const rows = [["this method", percent(token.p)], ["model with the photo", percent(token.main)]];
  if (token.ref !== null) rows.push([data.reference, percent(token.ref)]);
  if (token.branches.length > 2) {
    token.branches.slice(1).forEach((p, k) => rows.push(["– with " + data.rows[k + 1], percent(p)]));
  }
  const index = data.tokens.indexOf(token);
  for (const other of panels) {
    const same = other.method === data.method ? undefined : other.tokens[index];
    if (!same) continue;
    const alternative = same.top.find(([text]) => text === token.t);
    rows.push([other.title + " at this position", alternative ? percent(alternative[1]) : "not in its top 5"]);
  }
  return rows;
}

function visibleToken(text) {
  return text.trim() || "␣";
}
