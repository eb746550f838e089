// Where the panels differ from the baseline, and the rows of the summary. Pure functions, tested by node.
const WORD = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu;

// Words of a text: [{ start, end, key, text }], positions in characters as Python counts them.
function wordsOf(text) {
  const words = [];
  let units = 0, characters = 0;
  for (const match of text.matchAll(WORD)) {
    characters += Array.from(text.slice(units, match.index)).length;
    const length = Array.from(match[0]).length;
    words.push({ start: characters, end: characters + length, key: match[0].toLowerCase(), text: match[0] });
    units = match.index + match[0].length;
    characters += length;
  }
  return words;
}

// Longest common subsequence of two lists of words -> pairs of indices, in order.
function commonWords(first, second) {
  const width = second.length + 1, table = new Uint16Array((first.length + 1) * width);
  for (let i = first.length - 1; i >= 0; i--) {
    for (let j = second.length - 1; j >= 0; j--) {
      table[i * width + j] = first[i].key === second[j].key
        ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < first.length && j < second.length;) {
    if (first[i].key === second[j].key) pairs.push([i++, j++]);
    else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i++;
    else j++;
  }
  return pairs;
}

// Stretches of a text that are not in the baseline's: [{ start, end, instead }]; instead: what stands there, or "".
function differences(baseline, text) {
  const before = wordsOf(baseline), words = wordsOf(text), spans = [];
  let [i, j] = [0, 0];
  for (const [k, m] of [...commonWords(before, words), [before.length, words.length]]) {
    if (m > j) {
      const instead = before.slice(i, k).map((word) => word.text).join(" ");
      spans.push({ start: words[j].start, end: words[m - 1].end, instead });
    }
    [i, j] = [k + 1, m + 1];
  }
  return spans;
}

// The stretch that a piece of text lies in, or undefined.
function spanAt(spans, start, end) {
  return spans.find((span) => span.start < end && start < span.end);
}

// Things that only one of two texts names, each once, with its verdict: { dropped, added } of mentions.
function changedThings(baseline, mentions) {
  const only = (these, those) => {
    const thing = (mention) => mention.checked_as || mention.object; // a man and a woman are checked as a person
    const names = new Set(those.map(thing)), things = new Map();
    these.forEach((mention) => {
      if (!names.has(thing(mention)) && !things.has(thing(mention))) things.set(thing(mention), mention);
    });
    return [...things.values()];
  };
  return { dropped: only(baseline, mentions), added: only(mentions, baseline) };
}

function overlap(one, two) {
  const width = Math.min(one[2], two[2]) - Math.max(one[0], two[0]);
  const height = Math.min(one[3], two[3]) - Math.max(one[1], two[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return width * height / (area(one) + area(two) - width * height);
}

// Boxes of what the texts name, one a thing: [{ box, label, verdict }].
function namedBoxes(panels) {
  const boxes = [];
  for (const { box, label, object, verdict } of panels.flatMap((panel) => panel.mentions)) {
    if (box && !boxes.some((other) => overlap(other.box, box) > 0.6)) {
      boxes.push({ box, label: label || object, verdict });
    }
  }
  return boxes;
}

// Where the numbers of boxes stand: at their corners, moved so that none covers another. size: of a number, as shares
// of the photo's width and height.
function numberPlaces(boxes, [width, height]) {
  const places = [];
  for (const { box } of boxes) {
    const clamp = (value, most) => Math.max(0, Math.min(value, most));
    const [right, bottom] = [box[2] - width, box[3] - height];
    const corners = [[box[0], box[1]], [right, box[1]], [box[0], bottom], [right, bottom]];
    for (let row = 0; row < 1; row += height) corners.push([box[0], row]);
    const free = ([x, y]) => places.every(([u, v]) => Math.abs(x - u) >= width || Math.abs(y - v) >= height);
    const inside = corners.map(([x, y]) => [clamp(x, 1 - width), clamp(y, 1 - height)]);
    places.push(inside.find(free) || inside[0]);
  }
  return places;
}

// A box [x0, y0, x1, y1] in 0..1 -> its place on the photo.
function boxStyle([x0, y0, x1, y1]) {
  const [left, top, width, height] = [x0, y0, x1 - x0, y1 - y0].map((value) => 100 * value + "%");
  return { left, top, width, height };
}

const COLUMNS = [
  ["title", "Method"], ["expected", "Invented of named things"], ["difference", "Against the baseline"],
  ["words", "Words"], ["seconds", "Seconds"], ["cost", "Cost"],
];

function answerCells({ error, inventions, difference, text }) {
  return {
    inventions: error ? null : inventions,
    expected: inventions && !error ? inventions.expected : null,
    interval: difference,
    difference: difference && !error ? difference.value : null,
    words: error ? null : wordsOf(text).length,
  };
}

// Of several samples: means, and how far they are spread.
function spreadCells({ n, words, named, mean, deviation, least, most, difference }) {
  const known = mean !== null;
  return {
    inventions: known ? { expected: mean, low: least, high: most, named, deviation, n } : null,
    expected: mean,
    interval: difference,
    difference: difference ? difference.value : null,
    words: Math.round(words),
  };
}

// A row a panel: numbers to sort by, null where there is none yet.
function stripRows(panels) {
  const baseline = panels.find((panel) => panel.method === "baseline");
  return panels.map((panel, order) => ({
    method: panel.method,
    title: panel.title,
    order,
    ...(panel.spread ? spreadCells(panel.spread) : answerCells(panel)),
    seconds: panel.seconds,
    cost: baseline && baseline.passes && panel.passes !== null && panel.tokens.length && baseline.tokens.length
      ? (panel.passes / panel.tokens.length) / (baseline.passes / baseline.tokens.length) : null,
  }));
}

// Rows by a column, those without a value last; sort: { key, down }, no key: the order of the panels.
function sortedRows(rows, { key, down }) {
  if (!key) return rows;
  const compare = (one, two) => (typeof one === "string" ? one.localeCompare(two) : one - two) * (down ? -1 : 1);
  return [...rows].sort((one, two) => {
    const [a, b] = [one[key], two[key]];
    if (a === null || b === null) return (a === null) - (b === null) || one.order - two.order;
    return compare(a, b) || one.order - two.order;
  });
}

function signed(value) {
  const text = Math.abs(value).toFixed(1);
  return (text === "0.0" ? "" : value < 0 ? "−" : "+") + text;
}

function differenceText(interval) {
  return interval ? signed(interval.value) + " [" + signed(interval.low) + ", " + signed(interval.high) + "]" : "–";
}

function inventionsText(inventions) {
  if (!inventions) return "–";
  const { expected, named, deviation, n } = inventions;
  const spread = deviation === undefined || deviation === null ? "" : " ± " + deviation.toFixed(1) + " (sd)";
  return expected.toFixed(1) + spread + " of " + (n ? named.toFixed(1) : named);
}

// n: samples, of which the expected number is the mean.
function inventionsTitle({ expected, low, high, named, n }) {
  if (n) {
    return "Mean of " + n + " samples: " + expected.toFixed(1) + " of " + named.toFixed(1)
      + " named things are expected not to be in the photo; from " + low.toFixed(1) + " to " + high.toFixed(1);
  }
  const range = " (95 %: " + low.toFixed(1) + " to " + high.toFixed(1) + ")";
  return expected.toFixed(1) + " of " + named + " named things are expected not to be in the photo" + range;
}
