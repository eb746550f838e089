// A blind vote, computed without touching the page: the shuffled order, a state without any name, and what is sent.
const BALLOT_TEXTS = { answer: "Answer", failed: "This answer failed." };

// The items in the order of a seed: Fisher and Yates with mulberry32, as halluapp/votes/ballots.py has it.
function shuffle(items, seed) {
  const order = [...items];
  let number = seed;
  for (let last = order.length - 1; last > 0; last--) {
    number = (number + 0x6D2B79F5) >>> 0;
    let mixed = Math.imul(number ^ (number >>> 15), number | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const other = Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

// A, B, C, ...; numbers after Z.
function letterOf(index) {
  return index < 26 ? String.fromCharCode(65 + index) : String(index + 1);
}

// A text cut into words and what stands between: pieces of a panel that know no token.
function wordPieces(text) {
  const pieces = [], end = Array.from(text).length;
  let start = 0;
  for (const word of wordsOf(text)) {
    if (word.start > start) pieces.push({ s: start, e: word.start });
    pieces.push({ s: word.start, e: word.end });
    start = word.end;
  }
  if (start < end) pieces.push({ s: start, e: end });
  return pieces;
}

// A state of which only the texts are left, in the order of the seed. What is drawn of it can tell no method: names,
// verdicts, differences, tokens, times and boxes are not in it. Panels without an answer have no part in the vote and
// stand last. index: of the panel in the report.
function hiddenState(state, seed) {
  const isFailed = (index) => Boolean(state.panels[index].error);
  const all = shuffle(state.panels.map((_, index) => index), seed);
  const order = [...all.filter((index) => !isFailed(index)), ...all.filter(isFailed)];
  const panels = order.map((index, place) => {
    const { text, error, status } = state.panels[index], letter = letterOf(place);
    return {
      index, method: letter, title: BALLOT_TEXTS.answer + " " + letter, source: "", explanation: "", reference: "",
      rows: [], status, error: error ? BALLOT_TEXTS.failed : "", text, tokens: [], pieces: wordPieces(text),
      mentions: [], inventions: null, difference: null, answer: null, labels: null, seconds: null, passes: null,
      note: "", samples: [], spread: null,
    };
  });
  return { ...state, panels, flags: [], vote: null, detector: "", measured: {}, blind: true };
}

// What is sent of a vote. ranks: { index of the panel: rank or 0 }; ticks: keys of `tickKey`.
function voteData({ seed, ranks, ticks, complete }) {
  const spans = [...ticks].map((key) => key.split(",").map(Number));
  const wrong = spans.map(([panel, start, end]) => ({ panel, start, end }));
  return { seed, ranks: Object.fromEntries(Object.entries(ranks).filter(([, rank]) => rank > 0)), wrong, complete };
}

function tickKey(index, { start, end }) {
  return [index, start, end].join();
}

// Of a report of the history: what the table of votes needs; null where nobody voted on it. Texts stay in the browser:
// which of them are equal, which says nothing of their methods, is told by a number a text.
function votedReport({ model, panels, votes }) {
  if (!votes || !votes.length) return null;
  const mention = ({ start, end, verdict }) => ({ start, end, verdict }), texts = panels.map(({ text }) => text);
  return {
    votes, model: { name: model.name }, panels: panels.map(({ method, title, parameters, error, mentions, text }) => ({
      method, title: title || "", parameters, error: error || null, mentions: mentions.map(mention),
      text: String(texts.indexOf(text)),
    })),
  };
}
