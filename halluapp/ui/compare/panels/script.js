// Draws the state of halluapp/ui/compare/state.py. Text from models, photos and people enters through textContent only.
let run = "", views = new Map(), state = null;
let answered = []; // the panels with all their samples; `state.panels` are as the page shows them

function reset() {
  closeEvidence();
  views.clear();
  sample = 0;
  find(".grid").replaceChildren();
}

function viewOf(data) {
  if (views.has(data.method)) return views.get(data.method);
  const root = make("section", "panel"), head = make("div", "head");
  root.dataset.method = data.method;
  root.tabIndex = -1;
  root.setAttribute("aria-label", data.title);
  const view = {
    root, pieces: [], tokens: new Map(), pager: samplePager(data),
    text: make("p", "text"), state: make("span", "state"), labels: make("div", "labels"),
    answer: make("p", "answer"), foot: make("p", "foot"), why: make("p", "why", data.explanation),
  };
  view.why.title = [data.explanation, data.source].filter(Boolean).join(" – ");
  head.append(make("h3", "", data.title), view.state, view.pager, panelButtons(data));
  root.append(head, view.why, view.text, view.labels, view.answer, view.foot);
  find(".grid").append(root);
  views.set(data.method, view);
  nameButtons(data.method, data.title);
  return view;
}

function drawText(view, data) {
  const pieces = textPieces(data), same = samePieces(view.pieces, pieces);
  view.pieces.splice(same).forEach((piece) => piece.node.remove()); // append, never rebuild
  for (const piece of pieces.slice(same)) {
    piece.node = pieceNode(piece, data.method, data.mentions[piece.mention]);
    view.text.append(piece.node);
    view.pieces.push(piece);
  }
  if (!view.text.querySelector("[tabindex='0']")) {
    const first = view.text.querySelector(".seg.m") || view.text.querySelector(".seg:not(.blank)");
    if (first) first.tabIndex = 0;
  }
}

function pieceNode(piece, method, mention) {
  const node = quote("span", "seg", piece.text);
  if (!isWord(piece.text)) { node.classList.add("blank"); return node; }
  if (mention) {
    node.classList.add("m", VERDICT_CLASSES[mention.verdict]);
    if (!piece.first) node.classList.add("inner");
    node.setAttribute("aria-label", (piece.first ? mention.text : piece.text.trim()) + ": " + mention.verdict);
    node.addEventListener("pointerenter", () => { if (!chosen) lightBox(mention.box); });
    node.addEventListener("pointerleave", () => { if (!chosen) lightBox(null); });
    node.addEventListener("focus", () => { if (!chosen) lightBox(mention.box); });
    node.addEventListener("blur", () => { if (!chosen) lightBox(null); });
  }
  node.tabIndex = -1;
  node.setAttribute("role", "button");
  node.open = (byKey) => (state.blind ? tickWord(method, piece) : openEvidence(panelOf(method), piece, node, byKey));
  node.addEventListener("click", () => node.open(false));
  node.addEventListener("keydown", (event) => wordKey(event, node));
  return node;
}

// A blind vote ticks words, not the signs between them.
function isWord(text) {
  return state.blind ? wordsOf(text).length > 0 : text.trim() !== "";
}

function wordKey(event, node) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (event.key !== "Enter" && event.key !== " " && !step) return;
  event.preventDefault();
  if (step) moveFocus(node, step);
  else node.open(true);
}

function panelOf(method) {
  return state.panels.find((panel) => panel.method === method);
}

function drawPanel(data) {
  const view = viewOf(data);
  drawPager(view.pager, data);
  view.root.dataset.status = data.status;
  view.state.textContent = STATUS_LABELS[data.status] || data.status;
  if (data.error) {
    view.pieces = [];
    view.text.replaceChildren(make("span", "failed", data.error));
  } else drawText(view, data);
  drawLabels(view, data.labels);
  view.answer.textContent = data.answer ? answerLine(data.answer) : "";
  if (data.seconds !== null) view.state.title = costLine(data);
}

// Once all texts stand: what equals the baseline recedes, what does not is marked; the foot names the things.
function drawDifferences() {
  const baseline = state.panels.find((panel) => panel.method === "baseline" && !panel.error);
  const on = Boolean(baseline) && !state.busy && find(".show-differences").checked;
  find(".grid").classList.toggle("compared", on);
  find(".show-differences").parentNode.hidden = !baseline || state.panels.length < 2;
  for (const data of state.panels) {
    const view = views.get(data.method), other = on && data !== baseline && !data.error;
    const spans = other ? differences(baseline.text, data.text) : [];
    view.root.classList.toggle("against", Boolean(other));
    const flags = flagsOf(data.method);
    for (const { node, start, end, text } of view.pieces) {
      const span = spanAt(spans, start, end);
      node.classList.toggle("own", Boolean(span) && text.trim() !== "");
      node.classList.toggle("flagged", flags.some((flag) => flag.start <= start && end <= flag.end && text.trim()));
      node.title = span ? "The baseline " + (span.instead ? "says: " + span.instead : "says nothing here") : "";
    }
    view.foot.replaceChildren(...(state.busy ? [] : footNodes(data, baseline)));
  }
}

// Verdicts of the shown answer that a person holds to be wrong.
function flagsOf(method) {
  return (state.flags || []).filter((flag) => flag.method === method && (flag.sample || 0) === sample);
}

function footNodes(data, baseline) {
  const nodes = [];
  if (data.note) nodes.push(make("span", "note", data.note + " "));
  // What a stopped answer does not name it might have named yet.
  const isStopped = [data, baseline].some((one) => one && one.status === "stopped");
  if (!baseline || data === baseline || data.error || isStopped) return nodes;
  const { dropped, added } = changedThings(baseline.mentions, data.mentions);
  const list = (name, things) => {
    if (!things.length) return;
    nodes.push(make("span", "", name + " "));
    things.forEach((mention) => {
      const sign = make("span", "sign " + VERDICT_CLASSES[mention.verdict], SIGNS[mention.verdict]);
      const thing = quote("span", "thing-name");
      thing.append(sign, mention.object);
      nodes.push(thing, "  ");
    });
  };
  list("Drops", dropped);
  if (dropped.length && added.length) nodes.push("· ");
  list("Adds", added);
  if (!dropped.length && !added.length && data.mentions.length) {
    nodes.push(make("span", "", "Names the same things as the baseline."));
  }
  return nodes;
}

function drawLabels(view, labels) {
  if (!labels || view.labels.childNodes.length) return;
  const table = make("table"), head = make("tr");
  ["label", "with photo", "prior", "calibrated"].forEach((name) => head.append(make("th", "", name)));
  table.append(head);
  labels.labels.forEach((name, k) => {
    const row = make("tr"), probabilities = [labels.before[k], labels.prior[k], labels.after[k]];
    row.append(quote("td", "", name), ...probabilities.map((p) => make("td", "n", percent(p))));
    table.append(row);
  });
  view.labels.append(table);
}

function drawLegend() {
  find(".eyes").textContent = [
    state.model && "Answered by " + state.model, state.detector && "Whose eyes: " + state.detector,
  ].filter(Boolean).join(" · ");
  for (const verdict of Object.keys(SIGNS)) {
    const note = find(".measured-" + VERDICT_CLASSES[verdict]);
    if (note) [note.textContent, note.parentNode.title] = measuredTexts(state.measured, verdict);
  }
}

function say(text) {
  find(".status-text").textContent = text;
}

function complain(text) {
  say("");
  find(".error").hidden = !text;
  find(".error").textContent = text;
}

function draw() {
  const next = typeof props.value === "string" ? null : props.value;
  if (!next) return;
  state = hideNames(next);
  sending = false;
  complain(state.error);
  say(state.status || "");
  find(".pulse").hidden = !state.busy;
  const drawing = state.run + (state.blind ? "-blind" : "");
  if (drawing !== run) { run = drawing; reset(); }
  drawPhoto();
  drawLegend();
  answered = state.panels;
  drawAnswers();
  drawTally();
  arrange();
  find(".share").hidden = state.busy || !state.link;
  remember();
  followDraft();
  takeLab();
  takePair();
  element.dataset.run = state.run;
  // On a phone the answers begin below the screen that the button is on.
  const begins = state.busy && element.dataset.busy === "no";
  element.dataset.busy = state.busy ? "yes" : "no";
  if (begins && innerWidth <= 640) find(".status-text").scrollIntoView({ block: "start" });
}

// The chosen sample of every panel, and what is said of all of them.
function drawAnswers() {
  const panels = answered.map((data) => {
    const { tokens } = viewOf(data), answer = answerOf(data, sample);
    if (!tokens.has(sample)) tokens.set(sample, []);
    return { ...answer, tokens: data.pieces || parseTokens(tokens.get(sample), answer.tokens) };
  });
  state = { ...state, panels };
  state.panels.forEach(drawPanel);
  drawBoxes();
  drawStrip();
  drawDifferences();
  drawBlind();
}

// From the Run button to the first answer, past chips, legend and summary.
function goToAnswers() {
  const word = find(".panel:not(.folded) .seg[tabindex='0']"), panel = find(".panel");
  if (word || panel) (word || panel).focus();
}

// The rail's own parts stand in the template, its widgets are gradio's: both go into one column that scrolls along.
function furnish() {
  const rail = find("#rail"), settings = find("#settings"), methods = find("#methods"), save = find("#report");
  // gradio mounts them one by one; on a busy machine a part comes some frames after the one around it.
  if (!rail || !settings || !methods || !save) { requestAnimationFrame(furnish); return; }
  rail.prepend(find(".photo-part"));
  rail.append(find(".settings-part"), methods, find(".choose-part"), find(".legend-part"));
  find(".votes").before(save);
  wireSettings(settings, methods);
  wireChoices(methods);
  wireSureness(settings);
  find(".legend-part").open = innerHeight > 700 && innerWidth > 1000;
}

// All methods (as many as are compared at once), none, or those that the page came with: a click on each chip, so that
// gradio hears of it.
function wireChoices(methods) {
  const boxes = () => [...methods.querySelectorAll("input[type=checkbox]")];
  const first = new Set(boxes().filter((box) => box.checked).map((box) => box.name));
  const most = Number(find(".choose[data-most]").dataset.most);
  const wanted = { all: (_, k) => k < most, none: () => false, default: (box) => first.has(box.name) };
  for (const button of element.querySelectorAll(".choose")) {
    button.addEventListener("click", () => {
      boxes().filter((box, k) => box.checked !== wanted[button.dataset.choice](box, k)).forEach((box) => box.click());
    });
  }
}

function wireSettings(settings, methods) {
  const button = find(".toggle-settings");
  const show = (open) => {
    settings.inert = !open;
    element.classList.toggle("settings-open", open);
    button.setAttribute("aria-expanded", String(open));
  };
  const count = () => {
    const boxes = [...methods.querySelectorAll("input[type=checkbox]")], on = boxes.filter((box) => box.checked);
    button.textContent = "Methods and settings (" + on.length + " of " + boxes.length + ")";
  };
  button.addEventListener("click", () => show(button.getAttribute("aria-expanded") === "false"));
  settings.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target.getAttribute("role") === "listbox") return; // that closes its own list
    show(false);
    button.focus();
  });
  methods.addEventListener("change", () => setTimeout(count));
  const changes = { childList: true, subtree: true, attributeFilter: ["class"] }; // the server chooses methods as well
  new MutationObserver(count).observe(methods, changes);
  show(false);
  count();
}

buildBlind();
buildTally();
buildPair();
furnish();
wirePhoto();
wireEvidence();
wireKept();
find(".skip").addEventListener("click", goToAnswers);
find(".show-differences").addEventListener("change", drawDifferences);
watch("value", draw);
const lost = readDraft();
draw();
wireDraft(lost);
