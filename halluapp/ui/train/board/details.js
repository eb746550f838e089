// Parts of the board below the curves: numbers before and after, runs side by side, the map, judged captions.
function measuredCell(interval, verdict) {
  const [value, low, high] = interval, cell = make("td", "n", formatCell(value));
  if (verdict) cell.append(make("b", verdict, " " + TEXTS.verdicts[verdict]));
  if (interval.length > 2 && low !== null && high !== null) {
    cell.append(make("small", "", fill(TEXTS.range, { low: formatCell(low), high: formatCell(high) })));
  }
  return cell;
}

function drawMeasured() {
  const rows = (state.run && state.run.measured) || [], head = make("tr");
  find(".measured").hidden = rows.length === 0;
  find(".measured .size").textContent = rows.length ? rows[0].n : "";
  const lines = rows.map((row) => {
    const line = make("tr"), title = row.label + (row.on ? " (" + row.on + ")" : "");
    const difference = measuredCell(row.difference, differenceVerdict(row));
    line.append(make("td", "", title), measuredCell(row.before), measuredCell(row.after), difference);
    return line;
  });
  head.append(make("th", "", ""), ...Object.values(TEXTS.sides).map((side) => make("th", "n", side)));
  find(".measured table").replaceChildren(head, ...lines);
}

// What the memory of some steps is for, and their sums.
function drawKinds() {
  const kinds = state.run && state.run.kinds, head = make("tr");
  find(".kinds").hidden = !kinds;
  if (!kinds) return;
  head.append(make("th", "", ""), ...kinds.steps.map((step) => make("th", "n", fill(TEXTS.step, { step }))));
  const line = (label, values) => {
    const row = make("tr");
    row.append(make("td", "", label), ...values.map((value) => make("td", "n", formatMegabytes(value))));
    return row;
  };
  const sums = kindSums(kinds);
  find(".kinds table").replaceChildren(
    head, ...kinds.rows.map(({ label, values }) => line(label, values)), line(TEXTS.peak, sums),
  );
}

// What several measured runs changed: a column a run, with how much it was measured on.
function drawComparison() {
  const { runs, rows } = state.comparison || { runs: [], rows: [] }, head = make("tr");
  find(".side-by-side").hidden = runs.length === 0;
  head.append(make("th", "", ""), ...runs.map(({ name, n }) => {
    const cell = make("th", "n");
    cell.append(quote("span", "", name));
    cell.append(make("small", "", n));
    return cell;
  }));
  const lines = rows.map((row) => {
    const line = make("tr");
    line.append(make("td", "", row.label), ...row.cells.map((difference) => (
      measuredCell(difference, differenceVerdict({ better: row.better, difference }))
    )));
    return line;
  });
  find(".side-by-side table").replaceChildren(head, ...lines);
}

const MARKS = {
  photo: { colour: 0, path: "M-3 0A3 3 0 1 0 3 0A3 3 0 1 0 -3 0Z" },
  truthful: { colour: 4, path: "M0 -3.6L3.4 2.6H-3.4Z" },
  hallucinated: { colour: 3, path: "M-2.8 -2.8L2.8 2.8M-2.8 2.8L2.8 -2.8" },
};

function markShape(name, position) {
  const { path, colour: index } = MARKS[name], place = position.map((value) => value.toFixed(1)).join(" ");
  const transform = "translate(" + place + ")", style = "--mark: " + colour(index);
  return shape("path", { class: "mark " + name, d: path, transform, style });
}

// Last-token representations on the two main axes, before and after, on the same axes.
function drawMap() {
  const map = state.run && state.run.map;
  find(".map").hidden = !map;
  if (!map) return;
  const scale = mapScale(map);
  find(".map .pair").replaceChildren(...["before", "after"].map((side) => {
    const figure = make("figure"), svg = shape("svg", { viewBox: "0 0 " + MAP.size + " " + MAP.size, role: "img" });
    svg.setAttribute("aria-label", mapLabel(side, map[side]));
    for (const name of Object.keys(MARKS)) svg.append(...map[side][name].map((point) => markShape(name, scale(point))));
    figure.append(make("figcaption", "", TEXTS.mapSides[side]), svg);
    return figure;
  }));
  find(".map .key").replaceChildren(...Object.keys(MARKS).map((name) => {
    const node = make("span"), svg = shape("svg", { viewBox: "-6 -5 12 10", "aria-hidden": "true" });
    svg.append(markShape(name, [0, 0]));
    node.append(svg, document.createTextNode(TEXTS.marks[name]));
    return node;
  }));
  find(".map .numbers").textContent = mapNumbers(state.run.measured);
}

function sampleItem(sample) {
  const item = make("li", sample.panel ? "panel" : ""), text = quote("span");
  const cell = make("span");
  text.append(...sample.parts.map(([words, verdict, reason]) => {
    if (!verdict) return document.createTextNode(words);
    const mark = make("mark", verdict.replaceAll(" ", "-"), words);
    mark.title = fill(TEXTS.judgement, { verdict, reason });
    mark.append(make("span", "aside", fill(TEXTS.aside, { verdict })));
    return mark;
  }));
  cell.append(text);
  if (sample.count) cell.append(make("small", "", sample.count));
  item.append(make("b", "", sampleTitle(sample)), cell);
  return item;
}

function drawSamples() {
  const run = state.run || {}, image = find(".samples img"), samples = run.samples || [];
  image.hidden = !run.photo;
  if (run.photo && image.src !== run.photo) image.src = run.photo;
  find(".samples").hidden = samples.length === 0;
  const [first, others] = sampleOrder(samples);
  find(".samples ol").replaceChildren(...first.map(sampleItem));
  find(".samples .more").hidden = others.length === 0;
  find(".samples .more .number").textContent = others.length;
  find(".samples .more ol").replaceChildren(...others.map(sampleItem));
  find(".samples .judge").textContent = run.judge || "";
}

// The log keeps to its last line while somebody reads that one.
function drawLog(text) {
  const log = find(".log pre"), atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
  find(".log").hidden = !text;
  if (log.textContent === text) return;
  log.textContent = text;
  if (atEnd) log.scrollTop = log.scrollHeight;
}
