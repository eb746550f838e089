// What stays: comparisons of this browser (IndexedDB), and reports opened from files. Nothing of it leaves the browser
// before somebody opens it again. A server that keeps results lists them under these.
const KEPT = 24; // comparisons
const LAB_TEXTS = {
  heading: "On this server", loading: "Looking on this server…", none: "No other comparison that you may see.",
  votes: [" · 1 vote", " · {n} votes"],
};
let lab = null; // what the server listed
let idle = -1, decoded = -1; // numbers of runs: the last one that was shown at rest, the one being decoded here
let entry = { run: -1, key: null, files: "" }; // the comparison of the history that is shown
let opening = null; // the key of the one that is being opened

function openReport(text, key = null) {
  say("Opening the report…");
  opening = key;
  upcoming = { copy: true };
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

// A run of one's own is kept, as its report, when it has ended; what is said of it later (a vote, a verdict held to be
// wrong) is kept with it.
function remember() {
  if (state.busy && state.run !== idle) decoded = state.run;
  if (state.busy) return;
  if (opening !== null && state.run !== idle && !state.error) {
    entry = { run: state.run, key: opening, files: state.files };
  }
  if (state.run !== idle || state.error) opening = null;
  idle = state.run;
  const { files, run: number } = state;
  if (files && number === decoded) {
    decoded = -1;
    entry = { run: number, key: null, files };
    const about = { prompt: state.prompt, photo: state.photo, name: state.name, link: state.link, date: Date.now() };
    keep(files, (store, text) => {
      store.add({ ...about, text }).onsuccess = (event) => {
        if (entry.run === number) entry.key = event.target.result;
      };
      store.getAllKeys().onsuccess = (event) => event.target.result.slice(0, -KEPT).forEach((key) => store.delete(key));
    });
  } else if (files && number === entry.run && entry.key !== null && files !== entry.files) {
    const { key } = entry;
    entry.files = files;
    keep(files, (store, text) => {
      store.get(key).onsuccess = ({ target: { result } }) => { if (result) store.put({ ...result, text }, key); };
    });
  }
}

async function keep(files, write) {
  const answer = await fetch(location.pathname.replace(/\/?$/, "/reports/") + files);
  if (!answer.ok) return;
  const text = await answer.text();
  withStore("readwrite", (store) => write(store, text));
}

function drawHistory() {
  if (!window.indexedDB) { drawPast([], []); return; }
  withStore("readonly", (store) => {
    store.getAllKeys().onsuccess = ({ target: { result: keys } }) => {
      store.getAll().onsuccess = (event) => drawPast(event.target.result.reverse(), keys.reverse());
    };
  });
}

// The browser's own comparisons, and under them those that the server keeps, unless they stand here already.
function drawPast(entries, keys) {
  const links = new Set(entries.map((one) => one.link)), { id: focus } = document.activeElement;
  const kept = entries.map((one, k) => ({
    ...one, id: "browser-" + keys[k], open: () => openReport(one.text, keys[k]), note: "",
  }));
  const others = (keepsResults() && lab ? lab : []).filter((one) => !links.has(one.link)).map((one) => ({
    ...one, id: "server-" + one.link, open: () => openKept(one.link), note: voteNote(one.votes),
  }));
  find(".history").hidden = entries.length === 0 && !keepsResults();
  offerPairs([...kept, ...others]);
  find(".past").replaceChildren(find(".pair-bar"), ...kept.map(pastNode), ...labNodes(others));
  drawChoice();
  const again = focus ? find(".past [id=" + CSS.escape(focus) + "]") : null; // who was at an entry stays there
  if (again) again.focus();
}

function pastNode({ id, photo, prompt, date, open, note }) {
  const node = make("button", "past-one"), image = make("img"), when = new Date(date);
  node.type = "button";
  image.alt = "";
  if (photo) image.src = photo;
  node.append(image, quote("span", "", prompt), make("small", "", when.toLocaleString() + note));
  node.addEventListener("click", () => { find(".history").open = false; open(); });
  return choiceRow(id, node);
}

function keepsResults() {
  return find(".history").dataset.keeps === "yes";
}

function wireLab() {
  find(".history").addEventListener("toggle", () => {
    if (find(".history").open && keepsResults() && !state.busy) trigger("lab", {});
  });
}

// Comes with one state, and stays for those after it.
function takeLab() {
  if (!state.lab) return;
  lab = state.lab;
  drawHistory();
}

// others: of the server, that do not stand in the history already.
function labNodes(others) {
  if (!keepsResults()) return [];
  const heading = make("h4", "", LAB_TEXTS.heading);
  if (!others.length) return [heading, make("p", "small", lab ? LAB_TEXTS.none : LAB_TEXTS.loading)];
  return [heading, ...others.map(pastNode)];
}

function voteNote(votes) {
  return votes ? LAB_TEXTS.votes[votes > 1 ? 1 : 0].replace("{n}", votes) : "";
}

function openKept(link) {
  upcoming = { copy: true };
  trigger("reopen", { link });
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
  wireLab();
  drawHistory();
}
