// Draws the fold. Text from models, photos and people enters through textContent only.
let state = null, photo = "", choice = { view: "evidence", method: "", word: 1, box: null }, answers = new Map();
let waiting = "";
const WORDS = ".inside .words .word", TABS = ".inside .tabs button"; // gradio has .tabs around all of this

const panelNow = () => state.panels.find((panel) => panel.method === choice.method);

function ask() {
  const key = answerKey(choice);
  drawChoice();
  if (answers.has(key) || choice.view === "counterfactual" && !choice.asked) { waiting = ""; drawView(); return; }
  waiting = key;
  drawView();
  trigger("select", { view: choice.view, method: choice.method, word: choice.word, box: choice.box });
}

function choose(changes) {
  choice = { ...choice, box: null, asked: false, ...changes };
  ask();
}

function drawWords() {
  const panel = panelNow();
  find(".words").replaceChildren(...wordPieces(panel).map(({ text, number }) => {
    if (!number) return document.createTextNode(text);
    const node = make("button", "word", text);
    node.type = "button";
    node.dataset.number = number;
    node.addEventListener("click", () => choose({ word: number }));
    return node;
  }));
}

function drawChoice() {
  for (const node of element.querySelectorAll(WORDS)) {
    mark(node, "aria-pressed", node.dataset.number === String(choice.word));
  }
  for (const node of element.querySelectorAll(TABS)) {
    mark(node, "aria-selected", node.dataset.view === choice.view);
  }
  element.dataset.word = choice.word;
}

function mark(node, attribute, chosen) {
  node.setAttribute(attribute, chosen ? "true" : "false");
  node.tabIndex = chosen ? 0 : -1;
}

// Arrow keys go from word to word and from tab to tab; Home and End to the ends.
function walk(event, selector) {
  const nodes = [...element.querySelectorAll(selector)], at = nodes.indexOf(document.activeElement);
  const steps = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0 };
  const next = event.key === "End" ? nodes.length - 1 : steps[event.key];
  if (at < 0 || next === undefined || !nodes[next]) return;
  event.preventDefault();
  nodes[next].focus();
}

function drawView() {
  const root = find(".view"), answer = answers.get(answerKey(choice));
  drawChoice();
  root.setAttribute("aria-label", TEXTS[choice.view]);
  element.dataset.view = answer && !answer.error ? answerKey(choice) : "";
  if (waiting) {
    const line = make("p", "hint");
    line.append(make("span", "pulse"), TEXTS.looking);
    root.replaceChildren(line);
  } else if (answer && answer.error) root.replaceChildren(make("p", "error", answer.error));
  else if (answer) {
    root.replaceChildren(...(answer.note ? [make("p", "hint", answer.note)] : []), ...DRAWN[choice.view](answer));
  } else if (choice.view === "counterfactual") root.replaceChildren(...coverButtons());
  else root.replaceChildren(make("p", "hint", TEXTS.chooseWord));
}

function coverButtons() {
  const box = panelNow().words[choice.word - 1]?.[2], nodes = [];
  const button = (text, where) => {
    const node = make("button", "go", text);
    node.type = "button";
    node.addEventListener("click", () => { choice = { ...choice, box: where, asked: true }; ask(); });
    nodes.push(node, " ");
  };
  nodes.push(make("p", "hint", TEXTS.cover));
  if (box) button(TEXTS.coverBox, box);
  button(TEXTS.coverWhole, null);
  return nodes;
}

function drawBase() {
  find(".body").hidden = !state.panels.length;
  if (!state.panels.length) return;
  if (!panelNow()) choice = { ...choice, method: state.panels[0].method, word: 0 };
  if (!choice.word) choice = { ...choice, word: firstWord(panelNow()) };
  const select = find(".method");
  select.replaceChildren(...state.panels.map((panel) => {
    const option = make("option", "", panel.title);
    option.value = panel.method;
    return option;
  }));
  select.value = choice.method;
  drawWords();
  drawChoice();
  drawView();
}

function draw() {
  let next = props.value;
  if (!next || typeof next === "string") return;
  if (!next.panels) { // with an answer only what is new is sent
    if (!state || next.run !== state.run) return; // about a result that is no longer shown
    next = { ...next, panels: state.panels };
  }
  const fresh = !state || next.run !== state.run;
  state = next;
  if (next.photo) photo = next.photo;
  if (next.answer) {
    const key = answerKey(next.answer.key);
    answers.set(key, { ...next.answer, error: next.error, note: next.note });
    if (key === waiting) waiting = "";
    if (!fresh) { drawView(); return; }
  }
  if (next.error && !next.answer && waiting) {
    answers.set(waiting, { error: next.error });
    waiting = "";
    if (!fresh) { drawView(); return; }
  }
  find(".note").textContent = next.answer ? "" : next.note;
  if (fresh) { answers = new Map(); waiting = ""; choice = { ...choice, word: 0, box: null, asked: false }; }
  drawBase();
  // Opened before this script ran, or while an answer was awaited whose question has gone: it is asked now.
  if (fresh && find(".inside").open && state.panels.length) ask();
}

find(".method").addEventListener("change", (event) => {
  choice = { ...choice, method: event.target.value, box: null, asked: false };
  choice.word = firstWord(panelNow());
  drawWords();
  ask();
});
find(".tabs").replaceChildren(...VIEWS.map(([view]) => {
  const node = make("button", "", TEXTS[view]);
  node.type = "button";
  node.dataset.view = view;
  node.setAttribute("role", "tab");
  node.addEventListener("click", () => choose({ view }));
  return node;
}));
find(".words").addEventListener("keydown", (event) => walk(event, WORDS));
find(".tabs").addEventListener("keydown", (event) => walk(event, TABS));
find(".inside").addEventListener("toggle", () => { if (find(".inside").open && state && state.panels.length) ask(); });
// A word that was chosen in a panel is the one to look into.
document.addEventListener("halluapp:word", ({ detail }) => {
  const panel = state && state.panels.find((one) => one.method === detail.method);
  if (!panel) return;
  choice = { ...choice, method: panel.method, word: wordAt(panel, detail.start), box: null, asked: false };
  find(".method").value = choice.method;
  drawWords();
  if (find(".inside").open) ask();
  else drawChoice();
});
watch("value", draw);
draw();
