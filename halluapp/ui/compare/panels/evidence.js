// What stands behind a word, beside the word: opened by a click or Enter, closed by Esc; arrows go from word to word.
// Who opens it by a key is led into it, and back to the word when it closes.
let chosen = null; // { node, method, piece }

function openEvidence(data, piece, node, byKey) {
  closeEvidence();
  chosen = { node, method: data.method, piece };
  node.classList.add("chosen");
  node.setAttribute("aria-expanded", "true");
  const mention = data.mentions[piece.mention], sheet = find(".evidence");
  find(".evidence .word").textContent = mention ? mention.text : "“" + visibleToken(piece.text) + "”";
  find(".facts").replaceChildren(...mentionFacts(data, mention), ...tokenFacts(data, piece));
  lightBox(mention && mention.box);
  sheet.hidden = false;
  sheet.setAttribute("aria-label", "Evidence: " + find(".evidence .word").textContent);
  placeEvidence(sheet, node);
  if (byKey) sheet.focus({ preventScroll: getComputedStyle(sheet).position === "fixed" });
  const detail = { method: data.method + (sample ? "#" + sample : ""), start: piece.start };
  document.dispatchEvent(new CustomEvent("halluapp:word", { detail })); // the fold "Look inside" takes it up
}

// Below the word, or above it where there is more room; on a phone the style makes it a sheet at the foot.
function placeEvidence(sheet, node) {
  const area = element.getBoundingClientRect(), word = node.getClientRects()[0] || node.getBoundingClientRect();
  const left = Math.max(0, Math.min(word.left - area.left - 16, area.width - sheet.offsetWidth));
  const below = innerHeight - word.bottom > sheet.offsetHeight + 12 || word.top < sheet.offsetHeight + 12;
  const top = below ? word.bottom - area.top + 8 : word.top - area.top - sheet.offsetHeight - 8;
  Object.assign(sheet.style, { left: left + "px", top: top + "px" });
}

function closeEvidence(focus) {
  if (!chosen) return;
  const { node } = chosen;
  chosen = null;
  node.classList.remove("chosen");
  node.removeAttribute("aria-expanded");
  find(".evidence").hidden = true;
  lightBox(null);
  if (focus) node.focus();
}

function mentionFacts(data, mention) {
  if (!mention) return [];
  const line = make("p", "verdict"), mark = VERDICT_CLASSES[mention.verdict];
  const sign = make("b", "sign " + mark, SIGNS[mention.verdict] + " " + mention.verdict);
  line.append(sign, " – ", make("span", "", mention.reason));
  return [line, flagButton(data, mention)];
}

function flagButton(data, mention) {
  const held = flagsOf(data.method).some((flag) => flag.start === mention.start);
  const button = make("button", "flag", held ? "⚑ Held to be wrong (undo)" : "⚑ This verdict is wrong");
  button.type = "button";
  button.setAttribute("aria-pressed", String(held));
  button.disabled = state.busy;
  button.addEventListener("click", () => {
    trigger("dispute", { method: data.method, start: mention.start, sample });
    closeEvidence(true);
  });
  return button;
}

function tokenFacts(data, piece) {
  const token = data.tokens[piece.token];
  if (!token) return [];
  const nodes = [make("h4", "", "Probability of “" + visibleToken(token.t) + "” here")];
  nodes.push(rowsTable(evidenceRows(data, token)));
  if (token.instead !== null) nodes.push(make("p", "", "Without the method: “" + token.instead.trim() + "”."));
  nodes.push(make("h4", "", "Most probable here"), alternativesTable(token.top));
  const others = otherRows(data, piece.token, state.panels);
  if (others.length) nodes.push(make("h4", "", "The other panels at this place"), othersTable(others));
  return nodes;
}

function rowsTable(rows) {
  const table = make("table");
  table.append(...rows.map(([name, value]) => {
    const row = make("tr"), head = make("th", "", name);
    head.scope = "row";
    row.append(head, make("td", "n", value));
    return row;
  }));
  return table;
}

// A panel whose text was another one by then has no probability that could be compared.
function othersTable(rows) {
  const apart = rows.filter(([, text]) => text === null).map(([title]) => title);
  const lines = rows.filter(([, text]) => text !== null).map(([title, text, p]) => (
    [title + " (says “" + visibleToken(text) + "”)", p === null ? "not in its top 5" : percent(p)]
  ));
  return rowsTable([...lines, ...(apart.length ? [["Another text by then: " + apart.join(", "), ""]] : [])]);
}

function alternativesTable(top) {
  const table = make("table");
  top.forEach(([text, p]) => {
    const row = make("tr"), cell = make("td", "wide"), bar = make("span", "bar");
    bar.style.width = Math.max(1, 100 * p) + "%";
    cell.append(bar);
    row.append(quote("td", "", visibleToken(text)), cell, make("td", "n", percent(p)));
    table.append(row);
  });
  return table;
}

// Focus on the next or the one before of a panel's words; only one of them is a tab stop. An open evidence follows, and
// keeps the focus where it has it.
function moveFocus(node, step) {
  const words = [...node.closest(".text").querySelectorAll(".seg:not(.blank)")];
  const next = words[words.indexOf(node) + step];
  if (!next) return;
  words.forEach((word) => { word.tabIndex = word === next ? 0 : -1; });
  const open = chosen, inside = find(".evidence").contains(document.activeElement);
  next.focus();
  if (open) next.open(inside);
}

// Esc closes; arrows lead on to the next word; Tab beyond the last button or before the first one closes and goes on
// from the word, so that nobody is held.
function evidenceKey(event) {
  const sheet = find(".evidence"), buttons = [...sheet.querySelectorAll("button:not(:disabled)")];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) {
    event.preventDefault();
    moveFocus(chosen.node, step);
  } else if (event.key === "Tab") {
    const edge = event.shiftKey ? [sheet, buttons[0]] : [buttons[buttons.length - 1]];
    if (edge.includes(document.activeElement)) closeEvidence(true);
  }
}

function wireEvidence() {
  find(".evidence .close").addEventListener("click", () => closeEvidence(true));
  find(".evidence").addEventListener("keydown", evidenceKey);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chosen) { event.stopPropagation(); closeEvidence(true); }
  });
  document.addEventListener("click", (event) => {
    if (chosen && !event.target.closest(".evidence, .seg")) closeEvidence();
  });
}
