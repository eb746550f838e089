// The blind vote: names hidden, panels shuffled, verdicts gone; words are ticked, answers ranked, and then revealed.
const BLIND_TEXTS = {
  switch: "Blind vote", section: "Blind vote",
  help: "Names are hidden and the answers shuffled. Click every word that is wrong about the photo, and rank the "
    + "answers: 1 is best, equal numbers are a tie, an answer without a number is below those with one.",
  complete: "I looked for wrong words in every answer", ticked: ["no word ticked", "1 word ticked", "{n} words ticked"],
  reveal: "Reveal", saving: "Saving…", wait: "Ticking and ranking open once the answers stand.",
  rank: "Rank", none: "–", best: "1, best",
  seen: [
    "You saw it as answer {letter}, ranked {rank}", "You saw it as answer {letter}, without a rank",
    "In its vote it was answer {letter}, ranked {rank}", "In its vote it was answer {letter}, without a rank",
    "In the last of {n} votes it was answer {letter}, ranked {rank}",
    "In the last of {n} votes it was answer {letter}, without a rank",
  ],
  words: ["", "1 word held to be wrong", "{n} words held to be wrong"],
};
let ballot = { run: -1, seed: 0, ranks: {}, ticks: new Set(), complete: false };
let revealed = -1, sending = false; // revealed: the run whose names are shown without a vote

function blindOn() {
  return find(".blind-switch").checked;
}

// The state to draw: without names while a vote is on.
function hideNames(next) {
  if (!blindOn() || next.voted || next.run === revealed || next.panels.length < 2) return next;
  if (ballot.run !== next.run) {
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    ballot = { run: next.run, seed, ranks: {}, ticks: new Set(), complete: false };
  }
  return hiddenState(next, ballot.seed);
}

function buildBlind() {
  const label = make("label", "switch"), input = make("input", "blind-switch");
  input.type = "checkbox";
  label.append(input, BLIND_TEXTS.switch);
  find(".top .share").before(label);
  const section = make("section", "ballot"), complete = make("label", "switch"), box = make("input", "complete");
  const button = make("button", "reveal", BLIND_TEXTS.reveal);
  section.setAttribute("aria-label", BLIND_TEXTS.section);
  section.hidden = true;
  box.type = "checkbox";
  button.type = "button";
  complete.append(box, BLIND_TEXTS.complete);
  const row = make("div", "ballot-row");
  row.append(complete, make("span", "count"), button);
  section.append(make("p", "ballot-help", BLIND_TEXTS.help), row);
  find(".grid").before(section);
  input.addEventListener("change", () => { closeEvidence(); draw(); });
  box.addEventListener("change", () => { ballot.complete = box.checked; });
  button.addEventListener("click", reveal);
}

// Without anything to keep the names are just shown.
function reveal() {
  const data = voteData(ballot);
  if (!Object.keys(data.ranks).length && !data.wrong.length && !data.complete) {
    revealed = ballot.run;
    draw();
    return;
  }
  sending = true;
  drawBallot();
  trigger("cast", data);
}

function drawBlind() {
  element.classList.toggle("blind-vote", Boolean(state.blind));
  find(".ballot").hidden = !state.blind;
  if (state.blind) {
    find(".facts").replaceChildren(); // of a word that was looked at before
    state.panels.forEach(drawRank);
    drawBallot();
  } else state.panels.forEach(drawOwnVote);
}

function drawBallot() {
  const ticked = BLIND_TEXTS.ticked[Math.min(2, ballot.ticks.size)].replace("{n}", ballot.ticks.size);
  const button = find(".ballot .reveal");
  find(".ballot .count").textContent = state.busy ? BLIND_TEXTS.wait : ticked;
  find(".ballot .complete").checked = ballot.complete;
  find(".ballot .complete").disabled = state.busy;
  button.disabled = state.busy || sending;
  button.textContent = sending ? BLIND_TEXTS.saving : BLIND_TEXTS.reveal;
}

function drawRank(data) {
  const { root, pieces } = views.get(data.method);
  pieces.forEach((piece) => drawTick(data, piece));
  let select = root.querySelector(".rank select");
  if (!select) {
    const label = make("label", "rank", BLIND_TEXTS.rank + " ");
    select = make("select");
    select.setAttribute("aria-label", BLIND_TEXTS.rank + ": " + data.title);
    state.panels.forEach((_, k) => {
      if (!k) select.append(rankOption(0, BLIND_TEXTS.none));
      select.append(rankOption(k + 1, k ? String(k + 1) : BLIND_TEXTS.best));
    });
    select.addEventListener("change", () => { ballot.ranks[data.index] = Number(select.value); });
    label.append(select);
    root.append(label);
  }
  select.value = String(ballot.ranks[data.index] || 0);
  select.disabled = state.busy || Boolean(data.error);
}

function rankOption(value, text) {
  const option = make("option", "", text);
  option.value = value;
  return option;
}

function drawTick(data, piece) {
  const ticked = ballot.ticks.has(tickKey(data.index, piece));
  piece.node.classList.toggle("ticked", ticked);
  if (isWord(piece.text)) piece.node.setAttribute("aria-pressed", String(ticked));
}

// A word is held to be wrong, or no longer. Whether somebody looked for all of them, only the box says.
function tickWord(method, piece) {
  if (state.busy || sending) return;
  const data = panelOf(method), key = tickKey(data.index, piece);
  if (ballot.ticks.has(key)) ballot.ticks.delete(key);
  else ballot.ticks.add(key);
  drawTick(data, piece);
  drawBallot();
}

// After the reveal, and in a report that carries votes: what this panel was called, its rank, the words ticked in it.
function drawOwnVote(data) {
  const { root, pieces } = views.get(data.method), vote = state.vote;
  let line = root.querySelector(".my-vote");
  if (!vote || !vote.order.includes(data.method)) { // without an answer it had no part in the vote
    if (line) line.remove();
    return;
  }
  if (!line) root.append(line = make("p", "my-vote"));
  const rank = vote.ranks[data.method], wrong = sample ? [] : vote.wrong.filter((word) => word.method === data.method);
  const letter = letterOf(vote.order.indexOf(data.method)), whose = state.voted ? 0 : state.votes > 1 ? 4 : 2;
  line.textContent = [
    fill(BLIND_TEXTS.seen[whose + (rank ? 0 : 1)], { letter, rank, n: state.votes }),
    fill(BLIND_TEXTS.words[Math.min(2, wrong.length)], { n: wrong.length }),
  ].filter(Boolean).join(" · ");
  for (const { node, start, end } of pieces) {
    node.classList.toggle("ticked", wrong.some((word) => word.start < end && start < word.end));
  }
}
