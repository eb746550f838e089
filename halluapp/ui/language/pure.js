"use strict";
// English texts -> those of another language, by a table of whole texts and of patterns with {names} in them.
const LETTERS = /[A-Za-z]{2}/, NAME = /\{(\w+)\}/;
const NUMBER = /^[\d\s.,%×±+−–\[\]-]+(?:s|min|h|MB|GB)?$/; // or an amount
const LETTERS_FOR_WORDS = 4, LETTERS_FOR_SENTENCES = 7; // of a pattern's own: with fewer it would fit anything
const DOT = " · ";
const SENTENCE_END = /(?<=[.!?])\s+(?=[A-Z\d])/;
const JOINTS = [[DOT, DOT], [" – ", " – "], [" + ", " + "], [SENTENCE_END, ""]];
const MOST_CHARACTERS = 2000; // of a text that is compared with patterns
// What stands for these names was said by a model, a person or a file.
const VERBATIM = ["word", "name", "model", "file", "text", "parts", "object", "run", "label", "message"];

// The table, ready for `translation`: patterns with the most letters of their own come first.
function compileTable(table) {
  const whole = new Map(Object.entries(table)), patterns = [];
  for (const [english, target] of whole) {
    const parts = english.split(NAME), literals = parts.filter((_, k) => k % 2 === 0);
    if (literals.length === 1) continue;
    const letters = literals.join("").replace(/[^A-Za-z]/g, "").length;
    patterns.push({ literals, names: parts.filter((_, k) => k % 2), target, letters });
  }
  patterns.sort((one, two) => two.letters - one.letters);
  return { whole, patterns };
}

// What stands in a text for the names of a pattern, or null where it does not fit. No step is taken twice, so that
// hostile texts cost no more than others.
function captures({ literals, names, letters }, text, whole) {
  const last = literals[literals.length - 1], found = [];
  if (!text.startsWith(literals[0]) || !text.endsWith(last)) return null;
  let start = literals[0].length;
  for (let k = 1; k < literals.length; k++) {
    const atEnd = k === literals.length - 1;
    const end = atEnd ? text.length - last.length : text.indexOf(literals[k], start + 1);
    const part = text.slice(start, end), isOurs = !VERBATIM.includes(names[k - 1]);
    if (end <= start || part.includes(DOT) || (isOurs && SENTENCE_END.test(part))) return null;
    found.push(part);
    start = end + literals[k].length;
  }
  const isQuoted = literals.some((literal) => literal.includes("“"));
  const fits = letters >= LETTERS_FOR_SENTENCES || isQuoted ? () => true
    : (part) => NUMBER.test(part) || (letters >= LETTERS_FOR_WORDS && (whole.has(part) || !/\s/.test(part)));
  return found.every(fits) ? found : null;
}

function fromPattern(compiled, text) {
  for (const pattern of compiled.patterns) {
    const values = captures(pattern, text, compiled.whole);
    if (!values) continue;
    const { literals, names, target } = pattern;
    const parts = Object.fromEntries(names.map((name, k) => {
      const isQuoted = literals[k].endsWith("“") || VERBATIM.includes(name);
      return [name, isQuoted ? values[k] : translation(compiled, values[k]) ?? values[k]];
    }));
    return target.replace(/\{(\w+)\}/g, (_, name) => parts[name]);
  }
  return null;
}

// Every part of a text that can be translated, translated; null where none can.
function fromParts(compiled, text, separator, joint) {
  const parts = text.split(separator);
  if (parts.length < 2) return null;
  const targets = parts.map((part) => translation(compiled, part));
  return targets.some((target) => target !== null) ? targets.map((one, k) => one ?? parts[k]).join(joint) : null;
}

// A text in the other language, or null where the table has nothing for it. White space around it stays.
function translation(compiled, text) {
  const core = text.trim();
  if (!LETTERS.test(core)) return null;
  let target = compiled.whole.get(core) ?? null;
  if (target === null && core.length <= MOST_CHARACTERS) {
    target = fromPattern(compiled, core);
    for (const [separator, joint] of JOINTS) target ??= fromParts(compiled, core, separator, joint);
  }
  return target === null ? null : text.replace(core, () => target);
}

// The language of a page: the one that was chosen, else the first of the browser's that the page has.
function pageLanguage(chosen, languages) {
  if (chosen) return chosen;
  const first = languages.find((one) => /^(?:en|zh)\b/i.test(one)) || "en";
  return /^zh/i.test(first) ? "zh-CN" : "en";
}
