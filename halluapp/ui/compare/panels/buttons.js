// The buttons of a panel: pin it, so that it stays first; fold it; copy its text. What is pinned and folded stays so
// over a new answer.
const ICONS = {
  pin: "M6 1.5h4M7 1.5v5L4.5 9.5h7L9 6.5v-5M8 9.5v5", fold: "M3.5 6l4.5 4.5L12.5 6",
  copy: "M5.5 5.5h8v8h-8zM2.5 10.5v-8h8", copied: "M3 8.5l3.5 3.5L13 4.5",
};
const folded = new Set(); // methods
let pinned = []; // methods, in the order in which they were pinned

function panelButtons({ method, title }) {
  const group = make("div", "tools"), button = (kind, act) => {
    const node = make("button", "tool " + kind), icon = shape("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
    icon.append(shape("path", { d: ICONS[kind] }));
    node.type = "button";
    node.append(icon);
    node.addEventListener("click", () => act(node));
    group.append(node);
  };
  button("pin", () => {
    pinned = pinned.includes(method) ? pinned.filter((one) => one !== method) : [...pinned, method];
    nameButtons(method, title);
    arrange();
  });
  button("fold", () => foldPanel(method, title, !folded.has(method)));
  button("copy", (node) => copyText(method, node));
  return group;
}

// What a button does next is its name.
function nameButtons(method, title) {
  const { root } = views.get(method), name = (kind, text) => {
    const button = root.querySelector(".tool." + kind);
    button.title = text;
    button.setAttribute("aria-label", text + ": " + title);
  };
  root.classList.toggle("pinned", pinned.includes(method));
  root.classList.toggle("folded", folded.has(method));
  name("pin", pinned.includes(method) ? "Unpin" : "Pin first");
  name("fold", folded.has(method) ? "Unfold" : "Fold");
  name("copy", "Copy the text");
}

function foldPanel(method, title, fold) {
  if (fold) folded.add(method);
  else folded.delete(method);
  nameButtons(method, title);
}

// Panels in the order of `panelOrder`; only those move that stand elsewhere, and whoever had the focus keeps it.
function arrange() {
  const grid = find(".grid"), focus = document.activeElement;
  panelOrder([...views.keys()], pinned).forEach((method, index) => {
    const { root } = views.get(method);
    if (grid.children[index] !== root) grid.insertBefore(root, grid.children[index]);
  });
  if (grid.contains(focus) && focus !== document.activeElement) focus.focus();
}

async function copyText(method, button) {
  const { text } = panelOf(method), path = button.querySelector("path"), name = button.getAttribute("aria-label");
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a page without https may not write to the clipboard by itself, but may copy what is selected
    const area = make("textarea");
    area.value = text;
    element.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  path.setAttribute("d", ICONS.copied);
  button.setAttribute("aria-label", "Copied");
  setTimeout(() => {
    path.setAttribute("d", ICONS.copy);
    button.setAttribute("aria-label", name);
  }, 2000);
}
