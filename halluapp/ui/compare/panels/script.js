// Draws the state of halluapp/ui/compare/state.py. Text from models, photos and people enters through textContent only.
const HINT = "Click a word in a panel: its box lights up, and what the token was worth shows here.";
let run = -1, views = new Map(), state = null, boxesKey = "", chosen = null;

function reset() {
  views.clear();
  boxesKey = "";
  chosen = null;
  find(".grid").replaceChildren();
  find(".facts").replaceChildren(make("p", "hint", HINT));
}

function viewOf(data) {
  if (views.has(data.method)) return views.get(data.method);
  const root = make("section", "panel"), head = make("div", "head");
  root.dataset.method = data.method;
  root.setAttribute("aria-label", data.title);
  const view = {
    pieces: [], tokens: [], text: make("p", "text"), state: make("span", "state"), labels: make("div", "labels"),
    answer: make("p", "answer"), counts: make("div", "counts"),
  };
  head.append(make("h3", "", data.title), view.state);
  root.append(head, make("p", "why", data.explanation), view.text, view.labels, view.answer, view.counts);
  find(".grid").append(root);
  views.set(data.method, view);
  return view;
}

function drawText(view, data) {
  const pieces = textPieces(data), same = samePieces(view.pieces, pieces);
  view.pieces.splice(same).forEach((piece) => piece.node.remove()); // append, never rebuild
  for (const piece of pieces.slice(same)) {
    piece.node = pieceNode(piece, data);
    view.text.append(piece.node);
    view.pieces.push(piece);
  }
}

function pieceNode(piece, data) {
  const node = make("span", "seg" + (piece.changed ? " changed" : ""), piece.text);
  const choose = () => choosePiece(data.method, piece, node);
  if (piece.mention >= 0) {
    const mention = data.mentions[piece.mention];
    node.classList.add("m", VERDICT_CLASSES[mention.verdict]);
    if (!piece.first) node.classList.add("inner");
    node.title = mention.verdict + ": " + mention.reason;
    if (piece.first) {
      node.tabIndex = 0;
      node.setAttribute("role", "button");
      node.setAttribute("aria-label", mention.text + ": " + mention.verdict);
    }
  }
  node.addEventListener("click", choose);
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); }
  });
  return node;
}

function drawPanel(data) {
  const view = viewOf(data);
  view.state.textContent = STATUS_LABELS[data.status] || data.status;
  if (data.error) {
    view.pieces = [];
    view.text.replaceChildren(make("span", "failed", data.error));
  } else drawText(view, data);
  drawLabels(view, data.labels);
  view.answer.textContent = data.answer ? answerLine(data.answer) : "";
  const nodes = verdictCounts(data.mentions).map(([sign, count, verdict]) => {
    const item = make("span", "", sign + " ");
    item.append(make("b", "", count), " " + verdict);
    return item;
  });
  if (data.inventions) {
    const item = make("span", "inventions", "expected inventions ");
    item.append(make("b", "", inventionsLine(data.inventions)));
    nodes.unshift(item);
  }
  if (data.seconds !== null) nodes.push(make("span", "", costLine(data)));
  if (data.note) nodes.push(make("span", "note", data.note));
  view.counts.replaceChildren(...nodes);
}

function drawLabels(view, labels) {
  if (!labels || view.labels.childNodes.length) return;
  const table = make("table"), head = make("tr");
  ["label", "with photo", "prior", "calibrated"].forEach((name) => head.append(make("th", "", name)));
  table.append(head);
  labels.labels.forEach((name, k) => {
    const row = make("tr"), probabilities = [labels.before[k], labels.prior[k], labels.after[k]];
    row.append(make("td", "", name), ...probabilities.map((p) => make("td", "n", percent(p))));
    table.append(row);
  });
  view.labels.append(table);
}

function drawBoxes() {
  const boxes = namedBoxes(state.panels), key = run + "/" + boxes.map(({ box }) => box.join()).join("/");
  if (key === boxesKey) return;
  boxesKey = key;
  find(".boxes").replaceChildren(...boxes.map(({ box, label }) => boxNode(box, label)));
}

function drawLegend() {
  find(".eyes").textContent = state.detector ? "Whose eyes: " + state.detector : "";
  for (const [, verdict] of SIGNS) {
    const note = find(".measured-" + VERDICT_CLASSES[verdict]);
    if (note) note.textContent = measuredText(state.measured, verdict);
  }
}

function boxNode(box, label, lit) {
  const node = make("div", "box" + (lit ? " lit" : ""));
  Object.assign(node.style, boxStyle(box));
  node.append(make("span", "", label));
  return node;
}

function choosePiece(method, piece, node) {
  if (!state) return;
  const data = state.panels.find((panel) => panel.method === method);
  const mention = data.mentions[piece.mention], token = data.tokens[piece.token];
  if (chosen) chosen.classList.remove("chosen");
  chosen = node;
  node.classList.add("chosen");
  const boxes = find(".boxes");
  boxes.querySelectorAll(".lit").forEach((old) => old.remove());
  boxes.classList.toggle("focus", Boolean(mention && mention.box));
  if (mention && mention.box) {
    boxes.append(boxNode(mention.box, mention.label || mention.object, true));
  }
  showEvidence(data, token, mention);
}

function showEvidence(data, token, mention) {
  const nodes = mention ? [mentionLine(mention)] : [];
  if (token) {
    nodes.push(make("p", "hint", data.title + ", token “" + token.t.trim() + "”"));
    const table = make("table");
    for (const [name, value] of evidenceRows(data, token, state.panels)) {
      const row = make("tr");
      row.append(make("th", "", name), make("td", "n", value));
      table.append(row);
    }
    nodes.push(table);
    if (token.instead !== null) nodes.push(make("p", "", "Without the method: “" + token.instead.trim() + "”."));
    nodes.push(make("p", "hint", "Most probable tokens here"), alternativesTable(token.top));
  }
  find(".facts").replaceChildren(...nodes);
}

function mentionLine(mention) {
  const line = make("p"), mark = make("span", "mark " + VERDICT_CLASSES[mention.verdict], mention.text);
  line.append(mark, " – " + mention.verdict + (mention.reason ? ": " + mention.reason : ""));
  return line;
}

function alternativesTable(top) {
  const table = make("table");
  top.forEach(([text, p]) => {
    const row = make("tr"), cell = make("td"), bar = make("span", "bar");
    bar.style.width = Math.max(1, 100 * p) + "%";
    cell.append(bar);
    cell.style.width = "45%";
    row.append(make("td", "", visibleToken(text)), cell, make("td", "n", percent(p)));
    table.append(row);
  });
  return table;
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
  drawLegend();
  drawBoxes();
  const panels = state.panels.map((data) => ({ ...data, tokens: parseTokens(viewOf(data).tokens, data.tokens) }));
  state = { ...state, panels };
  state.panels.forEach(drawPanel);
  element.dataset.run = run;
  element.dataset.busy = state.busy ? "yes" : "no";
}

watch("value", draw);
draw();
