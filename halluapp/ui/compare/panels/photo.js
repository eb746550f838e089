// The photo with the boxes of what the texts name, another photo, and the examples.
const NUMBER = [22, 20]; // pixels of a box's number
let shownBoxes = [], boxesKey = "";

function drawPhoto() {
  const image = find(".photo img");
  image.hidden = !state.photo;
  find(".photo .empty").hidden = Boolean(state.photo);
  if (state.photo && image.src !== state.photo) image.src = state.photo;
  image.alt = "The photo that is asked about" + (state.name ? ": " + state.name : "");
  find(".photo-tools .name").textContent = state.name;
  find(".another").textContent = state.photo ? "Another photo" : "Choose a photo";
}

function drawBoxes() {
  const boxes = namedBoxes(state.panels);
  const key = run + "/" + boxes.map(({ box, label, verdict }) => box.join() + label + verdict).join("/");
  if (key === boxesKey) return;
  boxesKey = key;
  shownBoxes = boxes;
  find(".things").replaceChildren(...boxes.map(thingNode));
  placeBoxes();
}

// Numbers are placed by the size that the photo has on the page.
function placeBoxes() {
  const area = find(".photo .frame").getBoundingClientRect();
  const size = NUMBER.map((pixels, k) => pixels / (Math.max(1, k ? area.height : area.width)));
  const places = numberPlaces(shownBoxes, size);
  find(".boxes").replaceChildren(...shownBoxes.flatMap((one, k) => [boxNode(one), numberNode(k, places[k])]));
}

function boxNode({ box, verdict }) {
  const node = make("div", "box " + VERDICT_CLASSES[verdict]);
  Object.assign(node.style, boxStyle(box));
  return node;
}

function numberNode(index, [x, y]) {
  const node = make("span", "number", index + 1);
  Object.assign(node.style, { left: 100 * x + "%", top: 100 * y + "%" });
  return node;
}

// The name of a box stands under the photo: on it, names would cover each other.
function thingNode(one, index) {
  const node = make("button", "thing"), leave = () => lightBox(null);
  node.type = "button";
  node.append(make("span", "number", index + 1), quote("span", "", one.label));
  node.addEventListener("pointerenter", () => lightBox(one.box));
  node.addEventListener("focus", () => lightBox(one.box));
  node.addEventListener("pointerleave", leave);
  node.addEventListener("blur", leave);
  return node;
}

// One box alone, the rest of the photo dimmed; null: all boxes.
function lightBox(box) {
  const boxes = find(".boxes");
  boxes.querySelectorAll(".lit").forEach((node) => node.remove());
  boxes.classList.toggle("focus", Boolean(box));
  if (!box) return;
  const node = make("div", "box lit");
  Object.assign(node.style, boxStyle(box));
  boxes.append(node);
}

async function takePhoto(file) {
  say("Reading the photo…");
  try {
    const { path } = await upload(file);
    upcoming = { path };
    trigger("take", { path });
  } catch (problem) {
    complain("The photo could not be uploaded (" + (problem.message || problem) + "); choose another one.");
  }
}

async function takeFiles(files) {
  const file = files && files[0];
  if (!file) return;
  if (/\.json$/i.test(file.name) || file.type === "application/json") openReport(await file.text());
  else await takePhoto(file);
}

function wirePhoto() {
  const chooser = find(".file"), photo = find(".photo");
  find(".another").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => { takeFiles([...chooser.files]); chooser.value = ""; });
  find(".show-boxes").addEventListener("change", (event) => {
    find(".boxes").hidden = !event.target.checked;
    find(".things").hidden = !event.target.checked;
  });
  element.addEventListener("dragover", (event) => { event.preventDefault(); photo.classList.add("over"); });
  element.addEventListener("dragleave", () => photo.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    photo.classList.remove("over");
    takeFiles([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length && element.offsetParent) { event.preventDefault(); takeFiles(files); }
  });
  find(".examples").addEventListener("click", (event) => {
    const button = event.target.closest(".example");
    if (!button) return;
    upcoming = { number: Number(button.dataset.number) };
    trigger("example", upcoming);
  });
  new ResizeObserver(placeBoxes).observe(find(".photo .frame"));
}
