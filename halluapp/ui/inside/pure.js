"use strict";
// What the fold shows, computed from the state of halluapp/ui/inside/state.py without touching the page.
const VIEWS = [
  ["evidence", true], ["reliance", false], ["attention", true], ["occlusion", true], ["counterfactual", true],
  ["prior", false], ["space", false], ["visual", false],
]; // name, whether it is about one word
const STRONGEST = 0.4, FULL_NATS = 4;

function percent(p) {
  if (p === null || p === undefined) return "–";
  if (p >= 0.0995) return (100 * p).toFixed(0) + " %";
  return (100 * p).toFixed(p < 0.001 ? 3 : 1) + " %";
}

function signed(value, digits) {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
}

// Answers are kept by what was asked; views that no word decides have one answer a panel.
function answerKey({ view, method, word, box }) {
  const known = VIEWS.find(([name]) => name === view);
  return [view, method, known && known[1] ? word : 0, box ? box.join() : ""].join("/");
}

// The text of a panel in pieces: words with their numbers (from 1), and what stands between them (number 0).
// Positions are Python's: they count characters, not the two units that JavaScript keeps for an emoji.
function wordPieces(panel) {
  const characters = Array.from(panel.text), pieces = [];
  let end = 0;
  panel.words.forEach(([start, stop], index) => {
    if (start > end) pieces.push({ text: characters.slice(end, start).join(""), number: 0 });
    pieces.push({ text: characters.slice(start, stop).join(""), number: index + 1 });
    end = stop;
  });
  if (end < characters.length) pieces.push({ text: characters.slice(end).join(""), number: 0 });
  return pieces;
}

// Which word holds a character of the text, or follows it; 1 where none does.
function wordAt(panel, start) {
  const index = panel.words.findIndex(([, stop]) => stop > start);
  return index < 0 ? 1 : index + 1;
}

// The word that is chosen when nobody has chosen: the first thing with a box, else the first word.
function firstWord(panel) {
  return Math.max(0, panel.words.findIndex(([, , box]) => box)) + 1;
}

// Text, strength and sign of every token: +-4 nats and more are the strongest shade.
function shades(answer) {
  const characters = Array.from(answer.text);
  return answer.reliance.map((value, k) => ({
    text: characters.slice(k ? answer.ends[k - 1] : 0, answer.ends[k]).join(""), value,
    alpha: STRONGEST * Math.min(1, Math.abs(value) / FULL_NATS), side: value < 0 ? "--against" : "--for",
  }));
}

// A polyline through values in a box of this size, zero line included: { points, zero }.
function trend(values, width, height) {
  const low = Math.min(0, ...values), high = Math.max(0, ...values), room = high - low || 1;
  const x = (k) => (values.length > 1 ? width * k / (values.length - 1) : width / 2);
  const y = (value) => height * (1 - (value - low) / room);
  return { points: values.map((value, k) => x(k).toFixed(1) + "," + y(value).toFixed(1)).join(" "), zero: y(0) };
}

// Values of a map as opacities: the largest is 1; what speaks against the word (below 0) has the other colour.
function heatCells(cells) {
  const most = Math.max(1e-9, ...cells.map(({ value }) => Math.abs(value)));
  return cells.map(({ box, value }) => ({
    box, alpha: 0.85 * Math.abs(value) / most, side: value < 0 ? "--against" : "--heat", value,
  }));
}

function boxStyle([x0, y0, x1, y1]) {
  const [left, top, width, height] = [x0, y0, x1 - x0, y1 - y0].map((value) => 100 * value + "%");
  return { left, top, width, height };
}

// Rows of shares as stacked bars: [[{ start, size }] of each row], of a width of 1.
function stacked(rows) {
  return rows.map((row) => {
    let start = 0;
    return row.map((size) => { start += size; return { start: start - size, size }; });
  });
}

// How much of an answer is left: things first, then words that say something (null: an article and the like).
function survivorLine({ things, words }) {
  const count = (list) => ({ all: list.length, kept: list.filter(([, survives]) => survives).length });
  const said = words.filter(([, survives]) => survives !== null);
  return [
    things.length ? fill(TEXTS.things, count(things)) : TEXTS.noThings, fill(TEXTS.survivors, count(said)),
  ].join(" ");
}

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
}

function visibleToken(text) {
  return text.trim() || "␣";
}
