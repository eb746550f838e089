// The fold "Votes": strengths of methods from all blind votes that this visitor may see, and people against the judge.
const TALLY_TEXTS = {
  fold: "Votes", counting: "Counting…", decimals: 2, draws: 1000,
  model: "Answers of {model}, rankings: {rankings}",
  votes: "Votes: {votes}, of them rankings: {rankings}. Comparisons: {comparisons}.",
  columns: ["Method", "Strength", "95 %", "Pairs won", "Pairs ranked"],
  strength: "ln of the Bradley-Terry strength, mean 0: a difference of 1 wins 73 % of pairs; a tie is half a win.",
  people: "Held to be wrong by people (votes that looked for wrong words: {votes})",
  verdicts: ["Verdict of the judge", "Held to be wrong", "95 %", "Mentions"],
  over: "95 % over votes drawn again with replacement, not over people or photos.",
  undefined: "Kappa has no value in {undefined} of {draws} draws, which are left out.",
  unnamed: "Ticked words that are no mention of a thing: {n}.",
  kappa: "Cohen's kappa of judge and people: {value}{interval}, n = {n} mentions that are grounded or contradicted.",
};

function buildTally() {
  const fold = make("details", "votes"), body = make("div", "tally");
  body.tabIndex = 0; // it scrolls sideways on a phone
  body.setAttribute("role", "region");
  body.setAttribute("aria-label", TALLY_TEXTS.fold);
  fold.append(make("summary", "", TALLY_TEXTS.fold), body);
  find(".answers").append(fold);
  fold.addEventListener("toggle", () => { if (fold.open) countVotes(); });
}

function countVotes() {
  find(".tally").replaceChildren(make("p", "", TALLY_TEXTS.counting));
  const send = (reports) => trigger("count", { text: JSON.stringify(reports) });
  if (!window.indexedDB) { send([]); return; }
  withStore("readonly", (store) => {
    store.getAll().onsuccess = (event) => {
      send(event.target.result.map((entry) => votedReport(JSON.parse(entry.text))).filter(Boolean));
    };
  });
}

function drawTally() {
  if (state.blind) { // names stand in it
    find(".votes").open = false;
    find(".tally").replaceChildren();
  }
  if (!state.tally || state.blind) return;
  const { votes, comparisons, rankings, problem, note, models, agreement } = state.tally;
  const nodes = [];
  if (votes) nodes.push(make("p", "", fill(TALLY_TEXTS.votes, { votes, comparisons, rankings })));
  if (problem) nodes.push(make("p", "problem", problem));
  if (note) nodes.push(make("p", "", note));
  for (const sentence of state.left_out || []) nodes.push(make("p", "", sentence));
  for (const part of models) nodes.push(...modelNodes(part));
  if (models.some((part) => part.methods.length)) nodes.push(make("p", "small", TALLY_TEXTS.strength));
  if (agreement.votes) nodes.push(...agreementNodes(agreement));
  find(".tally").replaceChildren(...nodes);
}

// The strengths of one model's answers.
function modelNodes({ model, rankings, problem, note, methods }) {
  const nodes = [make("h4", "", fill(TALLY_TEXTS.model, { model, rankings }))];
  if (problem) nodes.push(make("p", "problem", problem));
  if (note) nodes.push(make("p", "", note));
  if (methods.length) {
    const rows = methods.map((row) => (
      [row.title, decimal(row.strength), range(row, decimal), portion(row.wins / row.n), row.n]
    ));
    const table = tallyTable(TALLY_TEXTS.columns, rows);
    table.title = TALLY_TEXTS.strength;
    nodes.push(table);
  }
  return nodes;
}

function agreementNodes({ votes, unnamed, verdicts, kappa }) {
  const rows = Object.entries(verdicts).filter(([, row]) => row.n).map(([verdict, row]) => (
    [verdict, portion(row.share), range(row, portion), row.n]
  ));
  const nodes = [make("h4", "", fill(TALLY_TEXTS.people, { votes })), tallyTable(TALLY_TEXTS.verdicts, rows)];
  if (kappa.value !== null) {
    const interval = kappa.low === null ? "" : " [" + range(kappa, decimal) + "]";
    nodes.push(make("p", "", fill(TALLY_TEXTS.kappa, { value: decimal(kappa.value), interval, n: kappa.n })));
  }
  if (kappa.undefined) {
    const { draws } = TALLY_TEXTS, { undefined: without } = kappa;
    nodes.push(make("p", "", fill(TALLY_TEXTS.undefined, { undefined: without, draws })));
  }
  nodes.push(make("p", "small", TALLY_TEXTS.over));
  if (unnamed) nodes.push(make("p", "", fill(TALLY_TEXTS.unnamed, { n: unnamed })));
  return nodes;
}

function decimal(value) {
  return value === null ? "–" : (value < 0 ? "−" : "") + Math.abs(value).toFixed(TALLY_TEXTS.decimals);
}

function portion(value) {
  return (100 * value).toFixed(0) + " %";
}

function range({ low, high }, text) {
  return low === null ? "–" : text(low) + " to " + text(high);
}

function tallyTable(names, rows) {
  const table = make("table"), head = make("tr"), body = make("tbody"), top = make("thead");
  names.forEach((name, k) => {
    const cell = make("th", k ? "n" : "", name);
    cell.scope = "col";
    head.append(cell);
  });
  rows.forEach(([name, ...values]) => {
    const row = make("tr"), first = make("th", "", name);
    first.scope = "row";
    row.append(first, ...values.map((value) => make("td", "n", value)));
    body.append(row);
  });
  top.append(head);
  table.append(top, body);
  return table;
}
