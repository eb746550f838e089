// The dialog that shows two comparisons side by side, the earlier one first.
const PAIR_TEXTS = {
  heading: "Two comparisons", sides: ["Earlier", "Later"], close: "Close", setting: "Setting",
  settings: "What differs in the settings", equal: "All settings are the same.",
  photos: "The photos differ, so no words are marked and no numbers are subtracted.",
  prompts: "The prompts differ, so no words are marked.",
  missing: "This comparison is without this method.", same: "Both texts have the same words.",
  invented: "Invented of named things: {expected}", words: "{n} words", samples: "mean of {n} samples",
  difference: "Later minus earlier: {difference} invented",
  says: "The other text says: {text}", silent: "The other text says nothing here", yes: "yes", no: "no",
};

function buildPair() {
  const dialog = make("dialog", "pair");
  dialog.setAttribute("aria-labelledby", "pair-heading");
  dialog.addEventListener("close", () => {
    dialog.replaceChildren(); // names of methods must not outlast it: a vote may hide them
    find(".compare-two").focus();
  });
  find(".answers").append(dialog);
  buildChoice();
}

// two: [{ photo, prompt, date, report }].
function showPair(two) {
  const sides = [...two].sort((one, other) => one.date - other.date), [first, second] = sides.map((one) => one.report);
  const grounds = sameGrounds(first, second), dialog = find(".pair");
  const heads = make("div", "pair-sides"), note = grounds.photo ? PAIR_TEXTS.prompts : PAIR_TEXTS.photos;
  heads.append(...sides.map(sideHead));
  dialog.replaceChildren(pairHeader(dialog), heads, ...settingNodes(settingDifferences(first, second)));
  if (!grounds.words) dialog.append(make("p", "pair-note", note));
  dialog.append(...panelPairs(first, second).map((panels) => pairSection(panels, grounds)));
  dialog.showModal();
  dialog.scrollTop = 0;
}

function pairHeader(dialog) {
  const header = make("header"), heading = make("h3", "", PAIR_TEXTS.heading), close = make("button", "close", "✕");
  heading.id = "pair-heading";
  close.type = "button";
  close.setAttribute("aria-label", PAIR_TEXTS.close);
  close.addEventListener("click", () => dialog.close());
  header.append(heading, close);
  return header;
}

function sideHead({ photo, prompt, date, report }, index) {
  const node = make("div", "pair-head"), image = make("img"), lines = make("div");
  image.alt = "";
  image.hidden = !photo;
  if (photo) image.src = photo;
  lines.append(
    make("h4", "", PAIR_TEXTS.sides[index]), quote("p", "pair-prompt", prompt),
    quote("p", "small", [report.photo.name, report.model.name].filter(Boolean).join(" · ")),
    make("p", "small", new Date(date).toLocaleString()),
  );
  node.append(image, lines);
  return node;
}

function settingNodes(rows) {
  const heading = make("h4", "", PAIR_TEXTS.settings);
  if (!rows.length) return [heading, make("p", "", PAIR_TEXTS.equal)];
  const table = make("table", "pair-settings"), top = make("thead"), body = make("tbody"), names = make("tr");
  names.append(...[PAIR_TEXTS.setting, ...PAIR_TEXTS.sides].map((name) => scoped("th", "col", name)));
  top.append(names);
  for (const { name, code, values } of rows) {
    const row = make("tr"), cell = scoped("th", "row", "");
    cell.append(make("span", "", name));
    if (code) cell.append(" ", quote("code", "", code));
    row.append(cell, ...values.map(valueCell));
    body.append(row);
  }
  table.append(top, body);
  return [heading, table];
}

function scoped(tag, scope, text) {
  const node = make(tag, "", text);
  node.scope = scope;
  return node;
}

function valueCell(value) {
  if (typeof value === "boolean") return make("td", "", value ? PAIR_TEXTS.yes : PAIR_TEXTS.no);
  const isEmpty = value === null || value === "" || (Array.isArray(value) && !value.length);
  const text = Array.isArray(value) ? value.map(String).join(", ") : typeof value === "object" ? JSON.stringify(value)
    : String(value);
  return quote("td", "", isEmpty ? "–" : text);
}

// A method of either comparison: both texts, what is said of each, and the difference.
function pairSection(panels, grounds) {
  const section = make("section", "pair-method"), sides = make("div", "pair-sides");
  const title = titleOf(panels.find(Boolean)), answers = panels.map((one) => (one && !one.error ? one : null));
  const numbers = answers.map((one) => one && answerNumbers(one)), both = answers.every(Boolean);
  section.setAttribute("aria-label", title);
  panels.forEach((panel, k) => {
    const other = both && grounds.words ? answers[1 - k].text : null;
    sides.append(answerSide(panel, other, numbers[k], PAIR_TEXTS.sides[k]));
  });
  section.append(make("h3", "", title), sides);
  if (both && grounds.photo) section.append(make("p", "pair-difference", differenceLine(...numbers)));
  const isSame = both && grounds.words && answers.every((one, k) => !differences(answers[1 - k].text, one.text).length);
  if (isSame) section.append(make("p", "small", PAIR_TEXTS.same));
  return section;
}

function answerSide(panel, other, numbers, side) {
  const node = make("div", "pair-answer");
  node.append(make("h4", "", side));
  if (!panel) node.append(make("p", "small", PAIR_TEXTS.missing));
  else if (panel.error) node.append(make("p", "failed", panel.error));
  else {
    const text = quote("p", "text");
    text.append(...contrastPieces(panel, other).map(contrastNode));
    node.append(text, make("p", "small", factLine(numbers)));
  }
  return node;
}

function contrastNode({ text, verdict, first, differs, instead }) {
  const isMarked = differs && text.trim() !== "", node = quote(isMarked ? "mark" : "span", "seg", text);
  if (verdict) node.classList.add("m", VERDICT_CLASSES[verdict]);
  if (verdict && !first) node.classList.add("inner");
  if (isMarked) {
    node.classList.add("own");
    node.title = instead ? fill(PAIR_TEXTS.says, { text: instead }) : PAIR_TEXTS.silent;
  }
  return node;
}

function factLine({ inventions, words, samples }) {
  return [
    inventions && fill(PAIR_TEXTS.invented, { expected: inventionsText(inventions) }),
    fill(PAIR_TEXTS.words, { n: words }), samples > 1 && fill(PAIR_TEXTS.samples, { n: samples }),
  ].filter(Boolean).join(" · ");
}

function differenceLine(first, second) {
  const { expected, words } = numberDifference(first, second);
  const sign = words < 0 ? "−" : words > 0 ? "+" : "";
  return [
    expected !== null && fill(PAIR_TEXTS.difference, { difference: signed(expected) }),
    fill(PAIR_TEXTS.words, { n: sign + Math.abs(words) }),
  ].filter(Boolean).join(" · ");
}
