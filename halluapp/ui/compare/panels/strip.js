// The summary: a row a method, sorted by any column; a click on a name goes to its panel.
let sorting = { key: "", down: false };

function drawStrip() {
  const rows = sortedRows(stripRows(state.panels), sorting);
  find(".strip").hidden = rows.length === 0;
  if (!rows.length) return;
  const most = Math.max(1, ...rows.map((row) => (row.inventions ? row.inventions.named : 0)));
  const head = make("tr");
  const n = Math.max(0, ...rows.map(({ inventions }) => (inventions && inventions.n) || 0));
  const more = { expected: n ? ", mean of " + n + " samples" : "" };
  head.append(...COLUMNS.map(([key, title], index) => headCell(key, title + (more[key] || ""), index > 1)));
  find(".strip thead").replaceChildren(head);
  find(".strip tbody").replaceChildren(...rows.map((row) => stripRow(row, most)));
}

function headCell(key, title, number) {
  const cell = make("th", number ? "n" : ""), button = make("button", "sort", title);
  button.type = "button";
  cell.scope = "col";
  if (sorting.key === key) {
    cell.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
    button.append(make("span", "arrow", sorting.down ? " ↓" : " ↑"));
  }
  button.addEventListener("click", () => {
    sorting = { key, down: sorting.key === key && !sorting.down };
    drawStrip();
    [...find(".strip thead").querySelectorAll("button")].find((one) => one.textContent.startsWith(title)).focus();
  });
  cell.append(button);
  return cell;
}

function stripRow(row, most) {
  const line = make("tr"), head = make("th"), name = make("button", "go", row.title);
  line.dataset.method = row.method;
  name.type = "button";
  name.addEventListener("click", () => goToPanel(row.method));
  head.scope = "row";
  head.append(name);
  const number = (text, label) => {
    const cell = make("td", "n", text);
    cell.dataset.label = label;
    return cell;
  };
  line.append(
    head, inventionsCell(row.inventions, most), number(differenceText(row.interval), "against the baseline"),
    number(row.words === null ? "–" : row.words, "words"),
    number(row.seconds === null ? "–" : row.seconds.toFixed(1), "seconds"),
    number(row.cost === null ? "–" : "×" + row.cost.toFixed(1), "cost"),
  );
  return line;
}

// A bar as long as the number of named things, filled as far as inventions are expected, with their interval.
function inventionsCell(inventions, most) {
  const cell = make("td", "inventions" + (inventions && inventions.n ? " mean" : ""));
  if (!inventions) { cell.textContent = "–"; return cell; }
  const track = make("span", "track"), fill = make("span", "fill"), range = make("span", "range");
  const share = (value) => 100 * value / Math.max(inventions.named, inventions.high, 0.001) + "%";
  track.style.width = 100 * inventions.named / most + "%";
  fill.style.width = share(inventions.expected);
  Object.assign(range.style, { left: share(inventions.low), width: share(inventions.high - inventions.low) });
  track.append(fill, range);
  const bar = make("span", "room");
  bar.append(track);
  cell.title = inventionsTitle(inventions);
  const text = make("span", "n", inventionsText(inventions));
  text.dataset.label = "invented";
  cell.append(bar, text);
  return cell;
}

function goToPanel(method) {
  const panel = views.get(method).root;
  if (folded.has(method)) foldPanel(method, panelOf(method).title, false);
  panel.scrollIntoView({ block: "nearest", inline: "start", behavior: "smooth" });
  panel.focus({ preventScroll: true });
}
