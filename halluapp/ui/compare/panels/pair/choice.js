// In the history two comparisons can be chosen; those of the server are fetched before both are shown.
const CHOICE_TEXTS = { hint: "Choose two to compare them.", button: "Compare two", pick: "Choose to compare:" };
let choices = new Map(); // id: what the history lists
let pair = []; // ids that are chosen
let awaited = null; // the pair whose reports the server was asked for

function buildChoice() {
  const bar = make("div", "pair-bar"), button = make("button", "compare-two", CHOICE_TEXTS.button);
  const name = make("span", "pick-name", CHOICE_TEXTS.pick);
  button.type = "button";
  button.id = "compare-two";
  button.addEventListener("click", comparePair);
  name.id = "pick-name";
  name.hidden = true;
  bar.append(make("span", "", CHOICE_TEXTS.hint), button, name);
  find(".past").append(bar);
}

// The history lists other comparisons: [{ id, photo, prompt, date, text or link }].
function offerPairs(list) {
  choices = new Map(list.map((one) => [one.id, one]));
  pair = pair.filter((id) => choices.has(id));
}

// An entry of the history with its box; node: the button that opens it.
function choiceRow(id, node) {
  const row = make("div", "past-row"), label = make("label", "pick"), box = make("input");
  node.id = "past-" + id;
  box.type = "checkbox";
  box.id = "pick-" + id;
  box.dataset.id = id;
  box.setAttribute("aria-labelledby", "pick-name " + node.id);
  box.addEventListener("change", () => {
    pair = box.checked ? [...pair, id] : pair.filter((one) => one !== id);
    drawChoice();
  });
  label.append(box);
  row.append(label, node);
  return row;
}

// Two at most; none while a comparison runs, or while a vote hides which method said what.
function drawChoice() {
  find(".pair-bar").hidden = choices.size < 2;
  find(".compare-two").disabled = pair.length !== 2 || !state || state.busy || Boolean(state.blind);
  for (const box of element.querySelectorAll(".pick input")) {
    box.checked = pair.includes(box.dataset.id);
    box.disabled = !box.checked && pair.length === 2;
    box.parentNode.hidden = choices.size < 2;
  }
}

function comparePair() {
  const chosen = pair.map((id) => choices.get(id)), links = chosen.filter((one) => !one.text).map((one) => one.link);
  if (!links.length) {
    showPair(chosen.map(withReport));
    return;
  }
  say("Opening the report…");
  awaited = chosen;
  trigger("fetch", { links: links.join(" ") });
}

function withReport(one) {
  return { ...one, report: JSON.parse(one.text || state.fetched[one.link]) };
}

// Comes with one state, as what the server lists.
function takePair() {
  drawChoice();
  if (!awaited || !(state.fetched || state.error)) return;
  const chosen = awaited;
  awaited = null;
  if (state.fetched && !state.blind) showPair(chosen.map(withReport));
}
