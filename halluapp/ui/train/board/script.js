// Draws the state of halluapp/ui/train/state.py. Names, captions and logs enter the page through textContent only.
let state = null, charts = new Map(), range = { first: null, last: null, log: false };

function drawNow() {
  const run = state.run;
  find(".now").hidden = !run;
  if (!run) return;
  find(".now .name").textContent = run.name + " · " + run.kind;
  find(".now .state").textContent = state.list.find((row) => row.name === run.name).state;
  find(".bar i").style.width = progress(run) + "%";
  find(".bar").setAttribute("aria-valuenow", progress(run));
  find(".facts").textContent = runFacts(run);
  find(".now .choice").hidden = !run.checkpoint;
  find(".now .choice").textContent = run.checkpoint || "";
  find(".now .error").hidden = !run.error;
  find(".now .error").textContent = run.error || "";
  drawLog(run.log || "");
}

function drawList() {
  find(".empty").hidden = state.list.length > 0;
  find(".empty").textContent = state.empty;
  find(".runs").hidden = state.list.length === 0;
  const head = make("tr"), active = document.activeElement;
  TEXTS.columns.forEach((name, k) => head.append(make("th", COLUMN_KINDS[k], name)));
  find(".runs thead").replaceChildren(head);
  const focus = active && element.contains(active) ? active.dataset.focus : "";
  find(".runs tbody").replaceChildren(...state.list.map(runRow));
  if (focus) [...element.querySelectorAll("[data-focus]")].find((node) => node.dataset.focus === focus)?.focus();
}

function runRow(run) {
  const chosen = run.name === state.chosen, row = make("tr", chosen ? "chosen" : "");
  row.dataset.run = run.name;
  const plot = chosen ? "●" : run.steps === null ? "" : plotBox(run);
  [pickButton(run, chosen), plot, ...rowTexts(run)].forEach((cell, k) => {
    const node = make("td", COLUMN_KINDS[k]);
    node.append(cell instanceof Node ? cell : document.createTextNode(cell));
    row.append(node);
  });
  return row;
}

function pickButton(run, chosen) {
  const button = quote("button", "pick", run.name);
  button.title = run.name;
  button.dataset.focus = "pick " + run.name;
  button.setAttribute("aria-pressed", chosen);
  button.addEventListener("click", () => trigger("select", { name: run.name, what: "choose" }));
  return button;
}

function plotBox(run) {
  const box = make("input");
  box.type = "checkbox";
  box.checked = state.overlay.includes(run.name);
  box.dataset.focus = "plot " + run.name;
  box.setAttribute("aria-label", fill(TEXTS.plotToo, run));
  box.addEventListener("change", () => trigger("select", { name: run.name, what: "plot" }));
  return box;
}

function drawChart(key) {
  const large = MAIN.includes(key), chart = large ? LARGE : CHART, all = seriesOf(state.curves, key);
  const zoomed = large ? partOf(all, { ...range, log: range.log && key === "loss" }) : all;
  const log = range.log && key === "loss" && zoomed.length > 0, series = zoomed.length ? zoomed : all;
  if (key === "loss") find(".range-note").textContent = rangeNote(all, zoomed, range);
  const bounds = boundsOf(series), scale = chartScale(bounds, chart, log);
  const figure = figureOf(key), svg = figure.querySelector("svg");
  const lines = series.flatMap((one) => lineShapes(one, scale, key === "loss"));
  svg.replaceChildren(...axisShapes(bounds, scale, chart, log), ...lines);
  const lasts = series.map((one) => formatNumber(one.points[one.points.length - 1][1])).join(" / ");
  const label = { curve: state.labels[key] || key, step: bounds.last, values: lasts };
  svg.setAttribute("aria-label", fill(TEXTS.chartLabel, label));
  figure.chart = { series, bounds, scale, size: chart };
  showReadout(figure, null);
}

function axisShapes(bounds, scale, chart, log) {
  const bottom = chart.height - chart.bottom, right = chart.width - chart.right;
  const levels = axisLevels(bounds, log), labels = tickLabels(levels);
  const tick = (x, y, anchor, text) => shape("text", { class: "tick", x, y, "text-anchor": anchor }, text);
  return [
    shape("path", { class: "axis", fill: "none", d: "M" + chart.left + " " + chart.top + "V" + bottom + "H" + right }),
    ...levels.map((value, k) => tick(chart.left - 4, scale.y(value) + 3, "end", labels[k])),
    tick(chart.left, chart.height - 5, "start", bounds.first),
    tick(right, chart.height - 5, "end", fill(TEXTS.step, { step: bounds.last })),
  ];
}

function lineShapes(series, scale, isLoss) {
  const { side, points, colour: stroke } = series, noisy = side === "train" && points.length > 20, shapes = [];
  if (noisy) shapes.push(shape("path", { class: "line raw", stroke, d: linePath(points, scale) }));
  const d = linePath(noisy ? runningMean(points) : points, scale);
  shapes.push(shape("path", { class: "line " + side, stroke, d }));
  const circle = (point, options) => shape("circle", { cx: scale.x(point[0]), cy: scale.y(point[1]), ...options });
  if (points.length === 1) shapes.push(circle(points[0], { r: 2.5, fill: stroke }));
  if (isLoss && side === "held" && points.length > 2) {
    const best = lowestPoint(points), mark = circle(best, { class: "best", stroke, r: 4 });
    mark.append(shape("title", {}, fill(TEXTS.lowest, { step: best[0] })));
    shapes.push(mark);
  }
  return shapes;
}

function figureOf(key) {
  if (charts.has(key)) return charts.get(key);
  const figure = make("figure"), caption = make("figcaption"), { width, height } = MAIN.includes(key) ? LARGE : CHART;
  const svg = shape("svg", { viewBox: "0 0 " + width + " " + height, role: "img" });
  figure.dataset.key = key;
  caption.append(make("span", "", state.labels[key] || key.replaceAll("_", " ")), make("span"));
  figure.append(caption, svg);
  svg.addEventListener("pointermove", (event) => showReadout(figure, event));
  svg.addEventListener("pointerleave", () => showReadout(figure, null));
  charts.set(key, figure);
  return figure;
}

// Values under the pointer, or the last ones.
function showReadout(figure, event) {
  const { series, bounds, scale, size } = figure.chart, svg = figure.querySelector("svg");
  const box = svg.getBoundingClientRect();
  svg.querySelector(".cursor")?.remove();
  let step = bounds.last;
  if (event && box.width) step = scale.stepAt((event.clientX - box.left) * size.width / box.width);
  if (event && series.length) {
    const x = scale.x(nearestPoint(series[0].points, step)[0]);
    svg.append(shape("line", { class: "cursor", x1: x, x2: x, y1: size.top, y2: size.height - size.bottom }));
  }
  figure.querySelector("figcaption span + span").textContent = readout(series, step, Boolean(event));
}

function drawCurves() {
  const keys = curveKeys(state.curves, state.labels);
  find(".curves").hidden = keys.length === 0;
  for (const [key, figure] of charts) if (!keys.includes(key)) { figure.remove(); charts.delete(key); }
  keys.forEach(drawChart);
  const rest = keys.filter((key) => !MAIN.includes(key));
  find(".large").replaceChildren(...keys.filter((key) => MAIN.includes(key)).map((key) => charts.get(key)));
  find(".others").hidden = rest.length === 0;
  find(".others .number").textContent = rest.length;
  find(".grid").replaceChildren(...rest.map((key) => charts.get(key)));
  const runs = state.curves.length > 1 ? state.curves.map((run, k) => curveKey(colour(k), "none", run.name)) : [];
  const sides = [
    curveKey("currentColor", "none", TEXTS.trainingPairs), curveKey("currentColor", "5 3", TEXTS.heldOutPairs),
  ];
  find(".curves .key").replaceChildren(...runs, ...sides);
}

function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function saveCurves() {
  const text = csvOf(state.curves, curveKeys(state.curves, state.labels));
  download(state.chosen + "-curves.csv", new Blob([text], { type: "text/csv" }));
}

// The large charts as one picture, with the colours that they have on the page.
function savePicture() {
  const svgs = [...element.querySelectorAll(".large svg")], scale = 2;
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  canvas.width = LARGE.width * scale;
  canvas.height = LARGE.height * scale * svgs.length;
  context.fillStyle = getComputedStyle(element.querySelector(".large figure")).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  const drawn = svgs.map((svg, k) => new Promise((done) => {
    const image = new Image();
    image.onload = () => {
      context.drawImage(image, 0, LARGE.height * scale * k, canvas.width, LARGE.height * scale);
      done();
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(withStyles(svg));
  }));
  Promise.all(drawn).then(() => canvas.toBlob((blob) => download(state.chosen + "-curves.png", blob), "image/png"));
}

function withStyles(svg) {
  const copy = svg.cloneNode(true), before = [...svg.querySelectorAll("*")];
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", LARGE.width);
  copy.setAttribute("height", LARGE.height);
  [...copy.querySelectorAll("*")].forEach((node, k) => {
    const style = getComputedStyle(before[k]);
    for (const name of STYLED) node.style.setProperty(name, style.getPropertyValue(name));
  });
  return new XMLSerializer().serializeToString(copy);
}

function setRange(changes) {
  range = { ...range, ...changes };
  if (state) drawCurves();
}

function curveKey(stroke, dash, text) {
  const node = make("span"), svg = shape("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" });
  svg.append(shape("path", { d: "M1 4H25", fill: "none", "stroke-width": 2, stroke, "stroke-dasharray": dash }));
  node.append(svg, document.createTextNode(text));
  return node;
}

const STYLED = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family",
];
function draw() {
  if (!props.value || typeof props.value === "string") return;
  state = props.value;
  drawNow();
  drawList();
  drawCurves();
  drawKinds();
  drawMeasured();
  drawComparison();
  drawMap();
  drawSamples();
  element.dataset.state = state.run ? state.run.status : "";
  element.dataset.steps = state.run ? state.run.step : 0;
}

const stepOf = (text) => (text.trim() === "" || Number.isNaN(Number(text)) ? null : Number(text));
find(".log-scale").addEventListener("change", (event) => setRange({ log: event.target.checked }));
find(".from").addEventListener("input", (event) => setRange({ first: stepOf(event.target.value) }));
find(".to").addEventListener("input", (event) => setRange({ last: stepOf(event.target.value) }));
find(".csv").addEventListener("click", saveCurves);
find(".png").addEventListener("click", savePicture);
watch("value", draw);
draw();
