// What stays: comparisons of this browser (IndexedDB), and reports opened from files. Nothing of it leaves the browser
// before somebody opens it again.
const KEPT = 24; // comparisons
let idle = -1, decoded = -1; // numbers of runs: the last one that was shown at rest, the one being decoded here

function openReport(text) {
  say("Opening the report…");
  trigger("reopen", { text });
}

// Calls back with the store of comparisons; a browser without one (private windows) just has no history.
function withStore(mode, use) {
  const opening = indexedDB.open("halluapp", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("comparisons", { autoIncrement: true });
  opening.onsuccess = () => {
    const database = opening.result, transaction = database.transaction("comparisons", mode);
    use(transaction.objectStore("comparisons"));
    transaction.oncomplete = () => { database.close(); if (mode === "readwrite") drawHistory(); };
  };
}

// A run of one's own is kept, as its report, when it has ended.
function remember() {
  if (state.busy && state.run !== idle) decoded = state.run;
  if (!state.busy) idle = state.run;
  if (state.busy || !state.link || state.run !== decoded) return;
  decoded = -1;
  keep({ prompt: state.prompt, photo: state.photo, name: state.name, date: Date.now() });
}

async function keep(entry) {
  const answer = await fetch(location.pathname.replace(/\/?$/, "/reports/") + state.link);
  if (!answer.ok) return;
  const text = await answer.text();
  withStore("readwrite", (store) => {
    store.add({ ...entry, text });
    store.getAllKeys().onsuccess = (event) => event.target.result.slice(0, -KEPT).forEach((key) => store.delete(key));
  });
}

function drawHistory() {
  withStore("readonly", (store) => {
    store.getAll().onsuccess = (event) => {
      const entries = event.target.result.reverse();
      find(".history").hidden = entries.length === 0;
      find(".past").replaceChildren(...entries.map(pastNode));
    };
  });
}

function pastNode(entry) {
  const node = make("button", "past-one"), image = make("img"), when = new Date(entry.date);
  node.type = "button";
  image.alt = "";
  image.src = entry.photo;
  node.append(image, quote("span", "", entry.prompt), make("small", "", when.toLocaleString()));
  node.addEventListener("click", () => { find(".history").open = false; openReport(entry.text); });
  return node;
}

// The address that opens this comparison again, on this server.
async function share(button) {
  const address = location.origin + location.pathname + "?r=" + state.link;
  try {
    await navigator.clipboard.writeText(address);
    button.textContent = "Link copied";
    setTimeout(() => { button.textContent = "Copy a link"; }, 2000);
  } catch {
    // A page without https may not write to the clipboard.
    window.prompt(window.halluappText("The link to this comparison:"), address);
  }
}

function wireKept() {
  find(".share").addEventListener("click", (event) => share(event.currentTarget));
  const chooser = find(".report-file");
  find(".open-report").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => { takeFiles([...chooser.files]); chooser.value = ""; });
  find(".history").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    find(".history").open = false;
    find(".history summary").focus();
  });
  if (window.indexedDB) drawHistory();
}
