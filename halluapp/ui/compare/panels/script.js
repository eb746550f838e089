// Draws the state of halluapp/ui/fold.py. Text from models, photos and people enters the page through textContent only.
const find = (selector) => element.querySelector(selector);
const SIGN = { grounded: "grounded", contradicted: "contradicted", "not checkable": "unknown" };
const STATE = { waiting: "waiting", decoding: "decoding…", end: "done", length: "done (length limit)", stopped: "stopped", failed: "failed" };
let run = -1, panels = new Map(), state = null, boxesKey = "", chosen = null;

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
const percent = (p) => (p === null || p === undefined ? "–" : p >= 0.0995 ? (100 * p).toFixed(0) + " %" : (100 * p).toFixed(p < 0.001 ? 2 : 1) + " %");

function reset() {
  panels.clear();
  boxesKey = "";
  chosen = null;
  find(".grid").replaceChildren();
  find(".facts").replaceChildren(make("p", "hint", "Click a word in a panel: its box lights up, and what the token was worth shows here."));
}

function panelOf(data) {
  if (panels.has(data.method)) return panels.get(data.method);
  const root = make("section", "panel");
  root.dataset.method = data.method;
  root.setAttribute("aria-label", data.title);
  const head = make("div", "head"), view = { root, segments: [], text: make("p", "text"), tokens: [], state: make("span", "state"), labels: make("div", "labels"), counts: make("div", "counts") };
  head.append(make("h3", "", data.title), view.state);
  root.append(head, make("p", "why", data.explanation), view.text, view.labels, view.counts);
  find(".grid").append(root);
  panels.set(data.method, view);
  return view;
}

// Tokens come as JSON strings and are only ever appended; each is parsed once.
function tokensOf(data) {
  const known = panelOf(data).tokens;
  while (known.length < data.tokens.length) known.push(JSON.parse(data.tokens[known.length]));
  return known;
}

// Cuts the text where tokens and mentions begin and end; each piece knows its token and its mention.
function pieces(data) {
  const cuts = new Set([0, data.text.length]);
  data.tokens.forEach((token) => { cuts.add(token.s); cuts.add(token.e); });
  data.mentions.forEach((mention) => { cuts.add(mention.start); cuts.add(mention.end); });
  const points = [...cuts].filter((c) => c <= data.text.length).sort((a, b) => a - b), made = [];
  for (let k = 0, at = 0; k + 1 < points.length; k++) {
    const [start, end] = [points[k], points[k + 1]];
    while (at < data.tokens.length && data.tokens[at].e <= start) at++; // tokens come in order
    const token = at < data.tokens.length && data.tokens[at].s <= start ? at : -1;
    const mention = data.mentions.findIndex((m) => m.start <= start && end <= m.end);
    const first = mention >= 0 && data.mentions[mention].start === start;
    const verdict = mention >= 0 ? data.mentions[mention].verdict : "";
    const changed = token >= 0 && data.tokens[token].instead !== null;
    made.push({ text: data.text.slice(start, end), token, mention, first, verdict, changed, key: [start, end, token, mention, verdict, changed].join() });
  }
  return made;
}

function drawText(view, data) {
  const wanted = pieces(data);
  let same = 0;
  while (same < wanted.length && same < view.segments.length && view.segments[same].key === wanted[same].key) same++;
  view.segments.splice(same).forEach((piece) => piece.node.remove()); // only the tail can change: append, never rebuild
  for (const piece of wanted.slice(same)) {
    piece.node = segment(piece, data);
    view.text.append(piece.node);
    view.segments.push(piece);
  }
}

function segment(piece, data) {
  const node = make("span", "seg" + (piece.changed ? " changed" : ""), piece.text);
  if (piece.mention >= 0) {
    const mention = data.mentions[piece.mention];
    node.classList.add("m", SIGN[mention.verdict]);
    if (!piece.first) node.classList.add("inner");
    node.title = mention.verdict + ": " + mention.reason;
    if (piece.first) {
      node.tabIndex = 0;
      node.setAttribute("role", "button");
      node.setAttribute("aria-label", mention.text + ": " + mention.verdict);
    }
  }
  node.addEventListener("click", () => choose(data.method, piece.token, piece.mention, node));
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(data.method, piece.token, piece.mention, node); }
  });
  return node;
}

function drawPanel(data) {
  const view = panelOf(data);
  view.state.textContent = STATE[data.status] || data.status;
  if (data.error) {
    view.segments = [];
    view.text.replaceChildren(make("span", "failed", data.error));
  } else drawText(view, data);
  drawLabels(view, data.labels);
  const count = (verdict) => data.mentions.filter((m) => m.verdict === verdict).length;
  const facts = [["✓", count("grounded"), "grounded"], ["✗", count("contradicted"), "contradicted"], ["?", count("not checkable"), "not checkable"]];
  const nodes = facts.map(([sign, number, name]) => { const item = make("span", "", sign + " "); item.append(make("b", "", number), " " + name); return item; });
  if (data.seconds !== null) {
    const rate = data.seconds > 0 ? data.tokens.length / data.seconds : 0;
    nodes.push(make("span", "", data.tokens.length + " tokens · " + data.seconds.toFixed(2) + " s · " + rate.toFixed(0) + " tok/s · " + data.passes + " forward passes"));
  }
  if (data.note) nodes.push(make("span", "note", data.note));
  view.counts.replaceChildren(...nodes);
}

function drawLabels(view, labels) {
  if (!labels || view.labels.childNodes.length) return;
  const table = make("table");
  const head = make("tr");
  ["label", "with photo", "prior", "calibrated"].forEach((name) => head.append(make("th", "", name)));
  table.append(head);
  labels.labels.forEach((name, k) => {
    const row = make("tr");
    row.append(make("td", "", name), make("td", "n", percent(labels.before[k])), make("td", "n", percent(labels.prior[k])), make("td", "n", percent(labels.after[k])));
    table.append(row);
  });
  view.labels.append(table);
}

function drawBoxes() {
  const shown = state.detections.filter((d) => d.score >= state.threshold).slice(0, 8);
  const key = run + "/" + state.threshold + "/" + shown.length;
  if (key === boxesKey) return;
  boxesKey = key;
  find(".boxes").replaceChildren(...shown.map((d) => boxNode(d.box, d.label + " " + d.score.toFixed(2))));
}

function boxNode(box, label, lit) {
  const node = make("div", "box" + (lit ? " lit" : ""));
  const [x0, y0, x1, y1] = box;
  Object.assign(node.style, { left: 100 * x0 + "%", top: 100 * y0 + "%", width: 100 * (x1 - x0) + "%", height: 100 * (y1 - y0) + "%" });
  node.append(make("span", "", label));
  return node;
}

function choose(method, tokenIndex, mentionIndex, node) {
  if (!state) return;
  const data = state.panels.find((p) => p.method === method), mention = data.mentions[mentionIndex], token = data.tokens[tokenIndex];
  if (chosen) chosen.classList.remove("chosen");
  chosen = node;
  node.classList.add("chosen");
  const boxes = find(".boxes");
  boxes.querySelectorAll(".lit").forEach((old) => old.remove());
  boxes.classList.toggle("focus", Boolean(mention && mention.box));
  if (mention && mention.box) boxes.append(boxNode(mention.box, (mention.label || mention.object) + " " + (mention.score === null ? "" : mention.score.toFixed(2)), true));
  showEvidence(data, token, mention);
}

function showEvidence(data, token, mention) {
  const nodes = [];
  if (mention) {
    const line = make("p");
    line.append(make("span", "mark " + SIGN[mention.verdict], mention.text), " – " + mention.verdict + (mention.reason ? ": " + mention.reason : ""));
    nodes.push(line);
  }
  if (token) {
    nodes.push(make("p", "hint", data.title + ", token “" + token.t.trim() + "”"));
    const table = make("table");
    const row = (name, value) => { const r = make("tr"); r.append(make("th", "", name), make("td", "n", value)); table.append(r); };
    row("this method", percent(token.p));
    row("model with the photo", percent(token.main));
    if (token.ref !== null) row(data.reference, percent(token.ref));
    if (token.branches.length > 2) token.branches.slice(1).forEach((p, k) => row("– with " + data.rows[k + 1], percent(p)));
    for (const other of state.panels) {
      if (other.method === data.method) continue;
      const k = data.tokens.indexOf(token), same = other.tokens[k];
      const alternative = same && same.top.find(([text]) => text === token.t);
      if (same) row(other.title + " at this position", alternative ? percent(alternative[1]) : "not in its top 5");
    }
    nodes.push(table);
    if (token.instead !== null) nodes.push(make("p", "", "Without the method: “" + token.instead.trim() + "”."));
    const top = make("table");
    token.top.forEach(([text, p]) => {
      const r = make("tr"), cell = make("td"), bar = make("span", "bar");
      bar.style.width = Math.max(1, 100 * p) + "%";
      cell.append(bar);
      cell.style.width = "45%";
      r.append(make("td", "", text.trim() || "␣"), cell, make("td", "n", percent(p)));
      top.append(r);
    });
    nodes.push(make("p", "hint", "Most probable tokens here"), top);
  }
  find(".facts").replaceChildren(...nodes);
}

function draw() {
  const next = typeof props.value === "string" ? null : props.value;
  if (!next) return;
  state = next;
  find(".status-text").textContent = state.status || "";
  find(".pulse").hidden = !state.busy;
  find(".error").hidden = !state.error;
  find(".error").textContent = state.error || "";
  if (state.run !== run) { run = state.run; reset(); if (state.photo) find(".photo img").src = state.photo; }
  find(".columns").hidden = !state.photo;
  drawBoxes();
  state = { ...state, panels: state.panels.map((data) => ({ ...data, tokens: tokensOf(data) })) };
  state.panels.forEach(drawPanel);
  element.dataset.run = run;
  element.dataset.busy = state.busy ? "yes" : "no";
}

watch("value", draw);
draw();
