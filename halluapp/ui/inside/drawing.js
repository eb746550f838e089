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
    row.append(...cells.map((cell) => (cell instanceof Node ? cell : quote("td", "", cell))));
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
    ? [make("th", "", line.title), make("td"), number("–"), make("td", "", line.error)]
    : row(line.title, line.p, wordList(line.top.slice(0, 3)))));
  const table = tableOf([
    row(TEXTS.withPhoto, answer.photo, ""), row(TEXTS.withoutPhoto, answer.none, ""), ...methods,
  ]);
  table.classList.add("methods");
  return [make("p", "", fill(TEXTS.evidenceHint, { word: answer.word.text })), table];
}

function drawReliance(answer) {
  const text = quote("p", "words"), tokens = shades(answer);
  text.append(...tokens.map(({ text: piece, value, alpha, side }) => {
    const node = make("span", "token", piece);
    node.style.background = "rgba(var(" + side + "), " + alpha.toFixed(3) + ")";
    node.title = fill(TEXTS.nats, { value: signed(value, 2) });
    return node;
  }));
  const values = tokens.map(({ value }) => value), { points, zero } = trend(values, 540, 80);
  const average = signed(mean(values), 2);
  const svg = shape("svg", { viewBox: "-4 -6 556 100", role: "img" });
  svg.setAttribute("aria-label", fill(TEXTS.relianceLabel, { mean: average }));
  svg.append(
    shape("path", { d: "M0 " + zero + "H540", stroke: "var(--quiet)", "stroke-dasharray": "3 3" }),
    shape("polyline", { points, fill: "none", stroke: "var(--k0)", "stroke-width": 2 }),
  );
  return [make("p", "hint", fill(TEXTS.relianceHint, { mean: average })), text, svg];
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
  const word = answer.word.text, left = make("div"), right = make("div"), notes = [
    fill(TEXTS.attentionShare, { share: percent(answer.photo), word }),
    ...(answer.whole > 0.0005 ? [fill(TEXTS.attentionWhole, { share: percent(answer.whole) })] : []),
    TEXTS.attentionNote,
  ];
  if (answer.cells.length) left.append(photoMap(heatCells(answer.cells), fill(TEXTS.attentionMap, { word })));
  else left.append(make("p", "hint", TEXTS.noPatches));
  left.append(...notes.map((note) => make("p", "hint", note)));
  right.append(
    make("h4", "", TEXTS.byLayer), shareChart(answer.layers, answer.kinds, TEXTS.layerShares, TEXTS.layer),
    make("h4", "", TEXTS.byToken), shareChart(answer.tokens, answer.kinds, TEXTS.tokenShares, TEXTS.token),
    kindKey(answer.kinds),
  );
  const sides = make("div", "sides");
  sides.append(left, right);
  return [sides];
}

function shareChart(rows, kinds, label, unit) {
  const width = 540, height = 90, step = width / rows.length;
  const svg = shape("svg", { viewBox: "0 0 552 106", role: "img" });
  const photoShares = rows.map((row) => percent(row[0]));
  const [first, last] = [photoShares[0], photoShares[photoShares.length - 1]];
  svg.setAttribute("aria-label", fill(label, { kinds: kinds.join(", "), first, last }));
  stacked(rows).forEach((parts, k) => parts.forEach(({ start, size }, kind) => svg.append(shape("rect", {
    x: (k * step).toFixed(1), y: (height * (1 - start - size)).toFixed(1), width: Math.max(1, step - 1).toFixed(1),
    height: (height * size).toFixed(1), style: "fill: var(" + KIND_COLOURS[kind] + ")",
  }))));
  svg.append(
    shape("text", { x: 0, y: 102 }, fill(unit, { number: 1 })),
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
  const word = answer.word.text, best = [...answer.cells].sort((a, b) => b.value - a.value)[0];
  return [
    photoMap(heatCells(answer.cells), fill(TEXTS.occlusionMap, { word })),
    make("p", "hint", fill(TEXTS.occlusionHint, { word, most: signed(best.value, 2) })),
  ];
}

function drawCounterfactual(answer) {
  const things = quote("ul", "things"), text = quote("p", "words"), line = survivorLine(answer);
  answer.things.forEach(([thing, survives]) => things.append(make("li", survives ? "" : "gone", thing)));
  answer.words.forEach(([word, survives]) => text.append(
    make("span", survives === null ? "joint" : survives ? "" : "gone", word), " ",
  ));
  return [
    make("p", "", line), ...(answer.things.length ? [things] : []), text,
    make("h4", "", TEXTS.newAnswer), quote("p", "", answer.text), ...coverButtons().slice(1),
  ];
}

function drawPrior(answer) {
  const grid = make("div", "probe");
  grid.append(...answer.probe.map(({ view, top }) => {
    const column = make("div");
    const rows = top.map(([text, p]) => [visibleToken(text), number(percent(p))]);
    column.append(make("h4", "", TEXTS.probes[view]), tableOf(rows));
    return column;
  }));
  return [make("p", "hint", TEXTS.priorHint), grid];
}

function drawSpace(answer) {
  const text = quote("p", "words"), layers = answer.layers.length;
  const each = answer.pieces.map((_, k) => mean(answer.energy.map((row) => row[k])));
  const most = Math.max(1e-9, ...each);
  text.append(...answer.pieces.map((piece, k) => {
    const node = make("span", "token", piece);
    node.style.background = "rgba(var(--against), " + (STRONGEST * each[k] / most).toFixed(3) + ")";
    node.title = percent(each[k]);
    return node;
  }));
  const rows = answer.layers.flatMap((layer) => answer.directions[layer].slice(0, 2).map(({ more, less }, k) => [
    make("th", "", fill(TEXTS.direction, { layer, number: k + 1 })), more.join(", "), make("td", "", TEXTS.against),
    less.join(", "),
  ]));
  return [
    make("p", "hint", fill(TEXTS.spaceHint, {
      layers, mean: percent(mean(each)), chance: percent(answer.expected), most: percent(most),
    })),
    text, make("h4", "", TEXTS.directionWords), tableOf(rows),
  ];
}

function drawVisual(answer) {
  const patches = answer.tokens.filter(({ box }) => box), whole = answer.tokens.length - patches.length;
  const range = make("input"), words = make("p"), nodes = [];
  const most = Math.max(1e-9, ...answer.tokens.map(({ entropy }) => entropy));
  const cell = ({ box, entropy }) => ({ box, value: entropy, alpha: 0.85 * entropy / most, side: "--heat" });
  const figure = photoMap(patches.map(cell), TEXTS.entropyMap);
  const show = () => {
    const token = answer.tokens[range.value - 1], index = patches.indexOf(token);
    figure.querySelectorAll(".cell").forEach((node, k) => node.classList.toggle("lit", k === index));
    words.replaceChildren(
      make("span", "", fill(token.box ? TEXTS.patch : TEXTS.wholeToken, { number: range.value })),
      quote("span", "", wordList(token.words)),
      make("span", "", fill(TEXTS.entropy, { entropy: token.entropy.toFixed(2) })),
    );
    range.setAttribute("aria-valuetext", words.textContent);
  };
  Object.assign(range, { type: "range", min: 1, max: answer.tokens.length, value: 1 });
  range.setAttribute("aria-label", TEXTS.visualToken);
  range.addEventListener("input", show);
  if (patches.length) nodes.push(figure);
  const average = mean(answer.tokens.map(({ entropy }) => entropy)).toFixed(2);
  nodes.push(range, words, make("p", "hint", fill(TEXTS.visualHint, { mean: average })));
  if (whole) nodes.push(make("p", "hint", fill(TEXTS.notPatches, { whole })));
  show();
  return nodes;
}
