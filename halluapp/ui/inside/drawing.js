// The views of the fold: an answer of halluapp/inspection/question.py -> nodes.
const DRAWN = {
  evidence: drawEvidence, reliance: drawReliance, attention: drawAttention, occlusion: drawOcclusion,
  counterfactual: drawCounterfactual, prior: drawPrior, space: drawSpace, visual: drawVisual,
};
const KIND_COLOURS = ["--k0", "--k1", "--k2", "--k3"];

function tableOf(rows) {
  const scroll = make("div", "scroll"), table = make("table");
  table.append(...rows.map((cells) => {
    const row = make("tr");
    row.append(...cells.map((cell) => (cell instanceof Node ? cell : make("td", "", cell))));
    return row;
  }));
  scroll.append(table);
  return scroll;
}

function barCell(p) {
  const cell = make("td", "room"), bar = make("span", "bar");
  bar.style.width = Math.max(1, 100 * (p || 0)) + "%";
  cell.append(bar);
  return cell;
}

const number = (text) => make("td", "n", text);

function wordList(words) {
  return words.map(([text, p]) => visibleToken(text) + " " + percent(p)).join(" · ");
}

function drawEvidence(answer) {
  const row = (title, p, rather) => [make("th", "", title), barCell(p), number(percent(p)), rather];
  const methods = answer.methods.map((line) => (line.error
    ? [make("th", "", line.title), make("td"), number("–"), line.error]
    : row(line.title, line.p, wordList(line.top.slice(0, 3)))));
  const table = tableOf([
    row("the model, with the photo", answer.photo, ""), row("the model, without it", answer.none, ""), ...methods,
  ]);
  table.classList.add("methods");
  return [
    make("p", "", "“" + answer.word.text + "” behind this answer's own beginning: its probability under every "
      + "method, and what each would rather have said."), table,
  ];
}

function drawReliance(answer) {
  const text = make("p", "words"), tokens = shades(answer);
  text.append(...tokens.map(({ text: piece, value, alpha, side }) => {
    const node = make("span", "token", piece);
    node.style.background = "rgba(var(" + side + "), " + alpha.toFixed(3) + ")";
    node.title = signed(value, 2) + " nats";
    return node;
  }));
  const values = tokens.map(({ value }) => value), { points, zero } = trend(values, 540, 80);
  const svg = shape("svg", { viewBox: "-4 -6 556 100", role: "img" });
  svg.setAttribute("aria-label", "Reliance on the photo, token by token, mean " + signed(mean(values), 2) + " nats");
  svg.append(
    shape("path", { d: "M0 " + zero + "H540", stroke: "var(--quiet)", "stroke-dasharray": "3 3" }),
    shape("polyline", { points, fill: "none", stroke: "var(--k0)", "stroke-width": 2 }),
  );
  return [
    make("p", "hint", "log p with the photo − log p without it, token by token: green is what the photo adds, "
      + "orange what it takes away; mean " + signed(mean(values), 2) + " nats."),
    text, svg,
  ];
}

function photoMap(cells, label) {
  const figure = make("figure", "photo"), image = make("img");
  image.src = photo;
  image.alt = label;
  figure.append(image, ...cells.map(({ box, alpha, side, value }) => {
    const node = make("div", "cell");
    Object.assign(node.style, boxStyle(box));
    node.style.background = "rgba(var(" + side + "), " + alpha.toFixed(3) + ")";
    node.dataset.value = value;
    return node;
  }));
  return figure;
}

function drawAttention(answer) {
  const word = "“" + answer.word.text + "”", left = make("div"), right = make("div");
  const note = percent(answer.photo) + " of the attention behind " + word + " went to the photo, the mean of "
    + "all layers and heads." + (answer.whole > 0.0005 ? " " + percent(answer.whole) + " of that went to tokens of the "
    + "whole photo." : "");
  if (answer.cells.length) left.append(photoMap(heatCells(answer.cells), "Attention on the photo behind " + word));
  else left.append(make("p", "hint", "This family reads the photo by queries that are no patches; look by occlusion."));
  left.append(make("p", "hint", note + " Attention shows where was read, not what decided."));
  right.append(
    make("h4", "", "By layer, for this word"), shareChart(answer.layers, answer.kinds, "layer"),
    make("h4", "", "As the answer grows"), shareChart(answer.tokens, answer.kinds, "token"), kindKey(answer.kinds),
  );
  const sides = make("div", "sides");
  sides.append(left, right);
  return [sides];
}

function shareChart(rows, kinds, name) {
  const width = 540, height = 90, step = width / rows.length;
  const svg = shape("svg", { viewBox: "0 0 552 106", role: "img" });
  const photoShares = rows.map((row) => percent(row[0]));
  svg.setAttribute("aria-label", "Share of attention on " + kinds.join(", ") + " by " + name + "; on the photo "
    + photoShares[0] + " at the first, " + photoShares[photoShares.length - 1] + " at the last");
  stacked(rows).forEach((parts, k) => parts.forEach(({ start, size }, kind) => svg.append(shape("rect", {
    x: (k * step).toFixed(1), y: (height * (1 - start - size)).toFixed(1), width: Math.max(1, step - 1).toFixed(1),
    height: (height * size).toFixed(1), style: "fill: var(" + KIND_COLOURS[kind] + ")",
  }))));
  svg.append(
    shape("text", { x: 0, y: 102 }, name + " 1"),
    shape("text", { x: width, y: 102, "text-anchor": "end" }, rows.length),
  );
  return svg;
}

function kindKey(kinds) {
  const key = make("p", "key");
  key.append(...kinds.map((kind, k) => {
    const node = make("span"), colour = make("i");
    colour.style.background = "var(" + KIND_COLOURS[k] + ")";
    node.append(colour, kind);
    return node;
  }));
  return key;
}

function drawOcclusion(answer) {
  const word = "“" + answer.word.text + "”", best = [...answer.cells].sort((a, b) => b.value - a.value)[0];
  return [
    photoMap(heatCells(answer.cells), "How much covering each part of the photo lowers " + word),
    make("p", "hint", "Each part was covered by itself: the brighter, the less probable " + word + " became (at most "
      + signed(best.value, 2) + " nats); parts in the other colour speak against it."),
  ];
}

function drawCounterfactual(answer) {
  const text = make("p", "words"), kept = answer.words.filter(([, survives]) => survives).length;
  answer.words.forEach(([word, survives]) => text.append(make("span", survives ? "" : "gone", word), " "));
  return [
    make("p", "", kept + " of " + answer.words.length + " words survive; those that do not are struck out."), text,
    make("h4", "", "The new answer"), make("p", "", answer.text), ...coverButtons().slice(1),
  ];
}

function drawPrior(answer) {
  const grid = make("div", "probe");
  grid.append(...answer.probe.map(({ view, top }) => {
    const column = make("div");
    const rows = top.map(([text, p]) => [visibleToken(text), number(percent(p))]);
    column.append(make("h4", "", PROBES[view]), tableOf(rows));
    return column;
  }));
  return [
    make("p", "hint", "How the plain model would begin its answer, whatever it is shown: what stays the same "
      + "without the photo is prior, not sight."), grid,
  ];
}

function drawSpace(answer) {
  const text = make("p", "words"), layers = answer.layers.length;
  const each = answer.pieces.map((_, k) => mean(answer.energy.map((row) => row[k])));
  const most = Math.max(1e-9, ...each);
  text.append(...answer.pieces.map((piece, k) => {
    const node = make("span", "token", piece);
    node.style.background = "rgba(var(--against), " + (STRONGEST * each[k] / most).toFixed(3) + ")";
    node.title = percent(each[k]);
    return node;
  }));
  const rows = answer.layers.flatMap((layer) => answer.directions[layer].slice(0, 2).map(({ more, less }, k) => [
    make("th", "", "layer " + layer + ", direction " + (k + 1)), more.join(", "), "against", less.join(", "),
  ]));
  return [
    make("p", "hint", "The share of each token's MLP output that lies in the HalluSpace, the mean of " + layers
      + " layers: " + percent(mean(each)) + " on average, " + percent(answer.expected) + " by chance; the strongest "
      + "shade is " + percent(most) + "."),
    text, make("h4", "", "Words of its directions"), tableOf(rows),
  ];
}

function drawVisual(answer) {
  const patches = answer.tokens.filter(({ box }) => box), whole = answer.tokens.length - patches.length;
  const range = make("input"), words = make("p"), nodes = [];
  const most = Math.max(1e-9, ...answer.tokens.map(({ entropy }) => entropy));
  const cell = ({ box, entropy }) => ({ box, value: entropy, alpha: 0.85 * entropy / most, side: "--heat" });
  const figure = photoMap(patches.map(cell), "Entropy of each visual token over the words");
  const show = () => {
    const token = answer.tokens[range.value - 1], index = patches.indexOf(token);
    figure.querySelectorAll(".cell").forEach((node, k) => node.classList.toggle("lit", k === index));
    words.textContent = (token.box ? "Patch " : "Token of the whole photo, ") + range.value + ": "
      + wordList(token.words) + " (entropy " + token.entropy.toFixed(2) + " nats)";
    range.setAttribute("aria-valuetext", words.textContent);
  };
  Object.assign(range, { type: "range", min: 1, max: answer.tokens.length, value: 1 });
  range.setAttribute("aria-label", "Visual token");
  range.addEventListener("input", show);
  if (patches.length) nodes.push(figure);
  nodes.push(range, words, make("p", "hint", "Brighter patches are undecided between many words, darker ones cling to "
    + "few. Mean " + mean(answer.tokens.map(({ entropy }) => entropy)).toFixed(2) + " nats." + (whole ? " " + whole
    + " tokens are no patches of the photo." : "")));
  show();
  return nodes;
}
