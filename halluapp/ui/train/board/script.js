// Draws the state of halluapp/ui/train/state.py. Names, captions and logs enter the page through textContent only.
const find = (selector) => element.querySelector(selector);
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300, HEIGHT = 150, LEFT = 46, RIGHT = 6, TOP = 8, BOTTOM = 18;
let state = null, charts = new Map();

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}
function shape(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
const colour = (index) => "var(--c" + (index % 6) + ")";

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1000) return value.toFixed(0);
  if (size >= 100) return value.toFixed(1);
  if (size >= 0.01) return value.toFixed(size >= 10 ? 2 : 3);
  return value.toExponential(1);
}
// Labels of an axis, with as many digits as tell them apart: tiny values with a power of ten, others without.
function ticks(values) {
  const digits = Math.max(0, 1 - Math.floor(Math.log10(Math.abs(values[2] - values[0]))));
  const tiny = Math.max(...values.map(Math.abs)) < 0.001;
  return values.map((value) => (tiny ? (value === 0 ? "0" : value.toExponential(1)) : Number(value.toFixed(digits)) === 0 ? "0" : value.toFixed(Math.min(digits, 6))));
}
function time(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  return (seconds / 3600).toFixed(1) + " h";
}

function drawNow() {
  const run = state.run;
  find(".now").hidden = !run;
  if (!run) return;
  find(".now .name").textContent = run.name + " · " + run.kind;
  find(".now .state").textContent = state.list.find((one) => one.name === run.name).state;
  const share = run.steps ? Math.round(100 * run.step / run.steps) : 0;
  find(".bar i").style.width = share + "%";
  find(".bar").setAttribute("aria-valuenow", share);
  const facts = ["step " + run.step + " of " + run.steps];
  if (run.seconds) facts.push(time(run.seconds) + " so far");
  if (run.left !== null) facts.push("about " + time(run.left) + " left");
  if (run.memory) facts.push(number(run.memory) + " MB at most");
  if (run.note && run.status !== "running") facts.push(run.note);
  if (run.measuring_note) facts.push(run.measuring_note);
  find(".facts").textContent = facts.join(" · ");
  find(".now .error").hidden = !run.error;
  find(".now .error").textContent = run.error || "";
  find(".log").hidden = !run.log;
  find(".log pre").textContent = run.log || "";
}

const COLUMNS = [["Run", ""], ["Plot", ""], ["Method", ""], ["State", ""], ["Steps", "n"], ["Loss", "n"], ["Held-out", "n"], ["Margin", "n"], ["Time", "n"], ["MB", "n"], ["Panel", ""]];

function drawList() {
  find(".empty").hidden = state.list.length > 0;
  find(".empty").textContent = state.empty;
  find(".runs").hidden = state.list.length === 0;
  const head = make("tr");
  COLUMNS.forEach(([name, kind]) => head.append(make("th", kind, name)));
  find(".runs thead").replaceChildren(head);
  const focus = document.activeElement && element.contains(document.activeElement) ? document.activeElement.dataset.focus : "";
  find(".runs tbody").replaceChildren(...state.list.map(line));
  if (focus) [...element.querySelectorAll("[data-focus]")].find((node) => node.dataset.focus === focus)?.focus();
}

function line(run) {
  const row = make("tr", run.name === state.chosen ? "chosen" : ""), pick = make("button", "pick", run.name), box = make("input");
  row.dataset.run = run.name;
  pick.title = run.name;
  pick.dataset.focus = "pick " + run.name;
  pick.setAttribute("aria-pressed", run.name === state.chosen);
  pick.addEventListener("click", () => trigger("select", { name: run.name, what: "choose" }));
  box.type = "checkbox";
  box.checked = state.overlay.includes(run.name);
  box.dataset.focus = "plot " + run.name;
  box.setAttribute("aria-label", "Plot " + run.name + " too");
  box.addEventListener("change", () => trigger("select", { name: run.name, what: "plot" }));
  const cells = [pick, run.name === state.chosen ? "●" : run.steps === null ? "" : box, run.kind, run.state, run.steps === null ? "–" : run.step + "/" + run.steps, number(run.loss), number(run.held), number(run.margin), run.seconds ? time(run.seconds) : "–", run.memory ? number(run.memory) : "–", run.panel ? "✓" : ""];
  cells.forEach((cell, k) => {
    const td = make("td", COLUMNS[k][1]);
    td.append(cell instanceof Node ? cell : document.createTextNode(cell));
    row.append(td);
  });
  return row;
}

// A running mean over a tenth of the points, so that the trend shows in the noise of single batches.
function smooth(points) {
  const width = Math.max(1, Math.round(points.length / 20));
  return points.map(([step], k) => {
    const part = points.slice(Math.max(0, k - width), k + width + 1);
    return [step, part.reduce((sum, [, value]) => sum + value, 0) / part.length];
  });
}

function bounds(series) {
  const steps = [], values = [];
  series.forEach((one) => one.points.forEach(([step, value]) => { steps.push(step); values.push(value); }));
  let low = Math.min(...values), high = Math.max(...values);
  if (high - low < 1e-9) { const room = Math.abs(high) * 0.05 || 0.5; low -= room; high += room; }
  return { first: Math.min(...steps), last: Math.max(...steps, Math.min(...steps) + 1), low, high };
}

function seriesOf(key) {
  const made = [];
  state.curves.forEach((run, index) => {
    const both = run.keys[key];
    if (!both) return;
    for (const side of ["train", "held"]) if (both[side].length) made.push({ run: run.name, side, points: both[side], colour: colour(index) });
  });
  return made;
}

function drawChart(key) {
  const series = seriesOf(key), b = bounds(series), figure = chartOf(key), svg = figure.querySelector("svg");
  const x = (step) => LEFT + (WIDTH - LEFT - RIGHT) * (step - b.first) / (b.last - b.first);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - b.low) / (b.high - b.low));
  const path = (points) => points.map(([step, value], k) => (k ? "L" : "M") + x(step).toFixed(1) + " " + y(value).toFixed(1)).join("");
  const nodes = [shape("path", { class: "axis", fill: "none", d: "M" + LEFT + " " + TOP + "V" + (HEIGHT - BOTTOM) + "H" + (WIDTH - RIGHT) })];
  const levels = [b.low, (b.low + b.high) / 2, b.high], labels = ticks(levels);
  levels.forEach((value, k) => nodes.push(shape("text", { class: "tick", x: LEFT - 4, y: y(value) + 3, "text-anchor": "end" }, labels[k])));
  nodes.push(shape("text", { class: "tick", x: LEFT, y: HEIGHT - 5 }, b.first), shape("text", { class: "tick", x: WIDTH - RIGHT, y: HEIGHT - 5, "text-anchor": "end" }, "step " + b.last));
  for (const one of series) {
    const noisy = one.side === "train" && one.points.length > 20;
    if (noisy) nodes.push(shape("path", { class: "line raw", stroke: one.colour, d: path(one.points) }));
    nodes.push(shape("path", { class: "line " + one.side, stroke: one.colour, d: path(noisy ? smooth(one.points) : one.points) }));
    if (one.points.length === 1) nodes.push(shape("circle", { cx: x(one.points[0][0]), cy: y(one.points[0][1]), r: 2.5, fill: one.colour }));
    if (key === "loss" && one.side === "held" && one.points.length > 2) {
      const best = one.points.reduce((a, c) => (c[1] < a[1] ? c : a));
      const mark = shape("circle", { class: "best", stroke: one.colour, cx: x(best[0]), cy: y(best[1]), r: 4 });
      mark.append(shape("title", {}, "lowest held-out loss, step " + best[0]));
      nodes.push(mark);
    }
  }
  svg.replaceChildren(...nodes);
  const lasts = series.map((one) => number(one.points[one.points.length - 1][1])).join(" / ");
  svg.setAttribute("aria-label", (state.labels[key] || key) + " by step, to step " + b.last + "; last values " + lasts);
  figure.at = { series, b, x };
  read(figure, null);
}

function chartOf(key) {
  if (charts.has(key)) return charts.get(key);
  const figure = make("figure"), caption = make("figcaption"), svg = shape("svg", { viewBox: "0 0 " + WIDTH + " " + HEIGHT, role: "img" });
  figure.dataset.key = key;
  caption.append(make("span", "", state.labels[key] || key.replaceAll("_", " ")), make("span"));
  figure.append(caption, svg);
  svg.addEventListener("pointermove", (event) => read(figure, event));
  svg.addEventListener("pointerleave", () => read(figure, null));
  charts.set(key, figure);
  return figure;
}

// Values under the pointer, or the last ones.
function read(figure, event) {
  const { series, b, x } = figure.at, svg = figure.querySelector("svg"), box = svg.getBoundingClientRect();
  svg.querySelector(".cursor")?.remove();
  let step = b.last;
  if (event && box.width) {
    const place = (event.clientX - box.left) * WIDTH / box.width;
    step = b.first + (b.last - b.first) * Math.min(1, Math.max(0, (place - LEFT) / (WIDTH - LEFT - RIGHT)));
  }
  const near = series.map((one) => one.points.reduce((a, c) => (Math.abs(c[0] - step) < Math.abs(a[0] - step) ? c : a)));
  if (event && near.length) svg.append(shape("line", { class: "cursor", x1: x(near[0][0]), x2: x(near[0][0]), y1: TOP, y2: HEIGHT - BOTTOM }));
  const mine = series.map((one, k) => [one, near[k]]).filter(([one]) => event || one.run === series[0].run);
  const said = mine.map(([one, point]) => number(point[1]) + (one.side === "held" ? " held-out" : "")).join(" · ");
  figure.querySelector("figcaption span + span").textContent = (event && near.length ? "step " + near[0][0] + ": " : "") + said;
}

function drawCurves() {
  const keys = [...new Set(state.curves.flatMap((run) => Object.keys(run.keys)))];
  find(".curves").hidden = keys.length === 0;
  for (const [key, figure] of charts) if (!keys.includes(key)) { figure.remove(); charts.delete(key); }
  keys.forEach(drawChart);
  const order = Object.keys(state.labels), place = (key) => (order.includes(key) ? order.indexOf(key) : order.length);
  keys.sort((a, b) => place(a) - place(b));
  find(".grid").replaceChildren(...keys.map((key) => charts.get(key)));
  const entry = (stroke, dash, text) => {
    const node = make("span"), svg = shape("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" });
    svg.append(shape("path", { d: "M1 4H25", fill: "none", "stroke-width": 2, stroke, "stroke-dasharray": dash }));
    node.append(svg, document.createTextNode(text));
    return node;
  };
  const names = state.curves.length > 1 ? state.curves.map((run, k) => entry(colour(k), "none", run.name)) : [];
  find(".curves .key").replaceChildren(...names, entry("currentColor", "none", "training pairs"), entry("currentColor", "5 3", "held-out pairs"));
}

// Numbers with three places: the cells of a row are read against each other.
const places = (one) => (one === null || one === undefined ? "–" : one.toFixed(Math.abs(one) >= 10 ? 1 : 3));
function cell(value, said) {
  const td = make("td", "n", places(value[0])), known = value.length > 2 && value[1] !== null && value[2] !== null;
  if (said) td.append(make("b", said, " " + said));
  if (known) td.append(make("small", "", places(value[1]) + " to " + places(value[2])));
  return td;
}

// Better or worse is said only where the interval of the difference leaves zero out.
function verdict(one) {
  const [, low, high] = one.difference;
  if (!one.better || low === null || low === undefined || (low <= 0 && high >= 0)) return "";
  return (low > 0) === (one.better > 0) ? "better" : "worse";
}

function drawMeasured() {
  const rows = (state.run && state.run.measured) || [];
  find(".measured").hidden = rows.length === 0;
  const head = make("tr"), lines = rows.map((one) => {
    const row = make("tr");
    row.append(make("td", "", one.label + (one.on ? " (" + one.on + ")" : "")), cell(one.before), cell(one.after), cell(one.difference, verdict(one)));
    return row;
  });
  head.append(make("th", "", ""), ...["before", "after", "difference"].map((side) => make("th", "n", side)));
  find(".measured table").replaceChildren(head, ...lines);
}

const MARKS = {
  photo: ["photo", 0, "M-3 0A3 3 0 1 0 3 0A3 3 0 1 0 -3 0Z"],
  truthful: ["truthful caption", 4, "M0 -3.6L3.4 2.6H-3.4Z"],
  hallucinated: ["hallucinated caption", 3, "M-2.8 -2.8L2.8 2.8M-2.8 2.8L2.8 -2.8"],
};

// Last-token representations on the two main axes, before and after, on the same axes.
function drawMap() {
  const map = state.run && state.run.map;
  find(".map").hidden = !map;
  if (!map) return;
  const all = ["before", "after"].flatMap((side) => Object.values(map[side]).flat());
  const range = (k) => { const values = all.map((point) => point[k]); return [Math.min(...values), Math.max(...values)]; };
  const [left, right] = range(0), [low, high] = range(1), size = 220, room = 10;
  const place = (point) => [room + (size - 2 * room) * (point[0] - left) / (right - left || 1), size - room - (size - 2 * room) * (point[1] - low) / (high - low || 1)];
  const mark = (name, at) => shape("path", { class: "mark " + name, d: MARKS[name][2], transform: "translate(" + at.map((one) => one.toFixed(1)).join(" ") + ")", style: "--mark: " + colour(MARKS[name][1]) });
  find(".map .pair").replaceChildren(...["before", "after"].map((side) => {
    const figure = make("figure"), svg = shape("svg", { viewBox: "0 0 " + size + " " + size, role: "img" });
    svg.setAttribute("aria-label", "Representations " + side + " the run: " + Object.entries(map[side]).map(([name, points]) => points.length + " " + MARKS[name][0] + (points.length === 1 ? "" : "s")).join(", "));
    for (const name of Object.keys(MARKS)) svg.append(...map[side][name].map((point) => mark(name, place(point))));
    figure.append(make("figcaption", "", side === "before" ? "Before" : "After"), svg);
    return figure;
  }));
  find(".map .key").replaceChildren(...Object.keys(MARKS).map((name) => {
    const entry = make("span"), svg = shape("svg", { viewBox: "-6 -5 12 10", "aria-hidden": "true" });
    svg.append(mark(name, [0, 0]));
    entry.append(svg, document.createTextNode(MARKS[name][0]));
    return entry;
  }));
  const numbers = state.run.measured.filter((one) => !one.on && ["distance", "separability"].includes(one.key));
  find(".map .numbers").textContent = numbers.map((one) => one.label + ": " + places(one.before[0]) + " → " + places(one.after[0])).join(" · ");
}

function drawSamples() {
  const samples = (state.run && state.run.samples) || [];
  find(".samples").hidden = samples.length === 0;
  find(".samples ol").replaceChildren(...[...samples].reverse().map((one) => {
    const item = make("li");
    item.append(make("b", "", "step " + one.step), make("span", "", one.text));
    return item;
  }));
}

function draw() {
  if (!props.value || typeof props.value === "string") return;
  state = props.value;
  drawNow();
  drawList();
  drawCurves();
  drawMeasured();
  drawMap();
  drawSamples();
  element.dataset.state = state.run ? state.run.status : "";
  element.dataset.steps = state.run ? state.run.step : 0;
}

watch("value", draw);
draw();
