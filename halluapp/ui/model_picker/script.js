// Draws the line and the list. Text from models, folders and people enters through textContent only.
let state = null, drawn = "", quantization = "";
const fold = find(".picker");

function drawRow(row) {
  const { words } = state, name = quote("span", "name", row.title);
  const node = make("li", "one"), head = make("div", "head");
  head.append(name);
  if (row.page) {
    const link = make("a", "card", words.card);
    link.href = row.page;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    link.setAttribute("aria-label", row.title + ": " + words.card);
    head.append(link);
  }
  if (row.family) head.append(make("span", "family", words.family + " " + row.family));
  const action = modelAction(row, quantization, state);
  if (action.button) {
    const button = make("button", "load", words.load);
    button.type = "button";
    button.setAttribute("aria-label", words.load + " " + row.title);
    button.addEventListener("click", () => switchTo({ number: row.number }));
    head.append(button);
  }
  node.append(head, make("p", "facts", modelLine(row, quantization, words)));
  if (action.text) node.append(make("p", row.loaded ? "here" : "why", action.text));
  if (row.slow && !action.text) node.append(make("p", "why", row.slow));
  node.classList.toggle("loaded", row.loaded);
  return node;
}

function switchTo(what) {
  find(".error").textContent = "";
  trigger("switch", { ...what, quantization });
}

function drawList() {
  const key = JSON.stringify([state.choices, quantization, state.busy, state.fixed]);
  if (key === drawn) return; // the focus stays where it is
  drawn = key;
  find(".models").replaceChildren(...state.choices.map(drawRow));
}

function drawForm() {
  const { words } = state, select = find(".quantization");
  find(".bits-name").textContent = words.quantization;
  if (!select.childNodes.length) {
    select.append(...state.quantizations.map(([value, text]) => {
      const option = make("option", "", text);
      option.value = value;
      return option;
    }));
  }
  select.value = quantization;
  find(".bits").hidden = Boolean(state.fixed);
  find(".another").hidden = !state.any;
  find(".another-name").textContent = words.free_field;
  find(".another .text").placeholder = words.placeholder;
  find(".another .load").textContent = words.load;
  find(".another .load").disabled = state.busy;
}

function draw() {
  const next = props.value;
  if (!next || typeof next === "string") return;
  if (!quantization || (state && state.quantization !== next.quantization)) quantization = next.quantization;
  state = next;
  const share = find(".share"), summary = find("summary");
  find(".line").textContent = next.line;
  summary.title = next.line;
  summary.setAttribute("aria-label", next.words.title + ": " + next.line);
  find(".stage").textContent = next.busy ? next.line : "";
  share.hidden = !next.busy;
  if (next.share === null) share.removeAttribute("value");
  else share.value = next.share;
  share.setAttribute("aria-label", next.line);
  const isNew = next.error && next.error !== find(".error").textContent;
  find(".error").textContent = next.error;
  find(".about").textContent = next.fixed || next.words.about;
  find(".free").textContent = next.free;
  find(".models").setAttribute("aria-label", next.words.list);
  drawForm();
  drawList();
  if (next.error) fold.open = true;
  if (isNew) find(".error").scrollIntoView({ block: "nearest" }); // a row far down the list was pressed
}

fold.addEventListener("toggle", () => { if (fold.open) trigger("unfold", {}); });
find(".quantization").addEventListener("change", (event) => { quantization = event.target.value; drawList(); });
find(".another").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find(".another .text").value.trim();
  if (text && !state.busy) switchTo({ text });
});
fold.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !fold.open) return;
  event.stopPropagation();
  fold.open = false;
  find("summary").focus();
});
document.addEventListener("pointerdown", (event) => {
  if (fold.open && !fold.contains(event.target)) fold.open = false;
});
watch("value", draw);
draw();
