// The page's language: as it was chosen in this browser, else as the browser prefers. Texts are replaced where they
// stand, before the browser paints them, and the English ones are remembered, so that the switch needs no reload.
const ATTRIBUTES = ["aria-label", "title", "placeholder", "alt", "data-label", "aria-valuetext"];
const KEY = "halluapp-language", LANGUAGES = ["en", "zh-CN"];
const SKIP = "[translate=no], script, style, textarea, pre, code";
const compiled = compileTable(CHINESE_TABLE);
const remembered = new WeakMap(); // text node or element -> { where: [English text, text that is shown] }
const cache = new Map();
let language = pageLanguage(stored(), [...navigator.languages || [navigator.language]]);

// gradio says its own few words in the browser's language: in English they go through the table like all others.
if (/^zh/i.test(navigator.language)) Object.defineProperty(navigator, "language", { get: () => "en" });

function stored() {
  try {
    const value = localStorage.getItem(KEY);
    return LANGUAGES.includes(value) ? value : null;
  } catch { return null; } // storage may be forbidden
}

function inChinese(text) {
  if (!LETTERS.test(text)) return null;
  if (cache.size > 5000) cache.clear();
  if (!cache.has(text)) cache.set(text, translation(compiled, text));
  return cache.get(text);
}

// One text of a node, as the language has it. What the page itself wrote since is the new English text.
function show(node, where, text, write) {
  const known = remembered.get(node) || {}, [english, shown] = known[where] || [];
  const source = shown === text ? english : text;
  const target = language === "en" ? source : inChinese(source) ?? source;
  if (target === source) delete known[where];
  else known[where] = [source, target];
  remembered.set(node, known);
  if (target !== text) write(target);
}

function showText(node) {
  const parent = node.parentElement;
  if (parent && !parent.closest(SKIP)) show(node, "", node.nodeValue, (text) => { node.nodeValue = text; });
}

function showAttribute(node, name) {
  if (node.hasAttribute(name)) show(node, name, node.getAttribute(name), (text) => node.setAttribute(name, text));
}

function showAll(root) {
  if (root.nodeType === Node.TEXT_NODE) { showText(root); return; }
  if (root.nodeType !== Node.ELEMENT_NODE) return;
  for (const node of [root, ...root.querySelectorAll(ATTRIBUTES.map((name) => "[" + name + "]").join())]) {
    ATTRIBUTES.forEach((name) => showAttribute(node, name));
  }
  if (root.closest(SKIP)) return;
  const filter = (node) => (node.nodeType === Node.ELEMENT_NODE
    ? node.matches(SKIP) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP : NodeFilter.FILTER_ACCEPT);
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, filter);
  while (walker.nextNode()) showText(walker.currentNode);
}

function follow(records) {
  for (const { type, target, addedNodes, attributeName } of records) {
    if (type === "attributes") showAttribute(target, attributeName);
    else if (type === "characterData") showText(target);
    else addedNodes.forEach(showAll);
  }
}

const observer = new MutationObserver(follow);

// gradio writes a language of its own when it starts; a page that was never Chinese is not watched at all.
function name() {
  if (document.documentElement.lang !== language) document.documentElement.lang = language;
}

function apply() {
  name();
  observer.disconnect();
  if (language !== "en") {
    observer.observe(document.documentElement, {
      subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES,
    });
  }
  if (document.body) showAll(document.body);
}

function press() {
  language = language === "en" ? "zh-CN" : "en";
  try { localStorage.setItem(KEY, language); } catch { /* remembered on this page only */ }
  apply();
}

window.halluappText = (text) => (language === "en" ? text : inChinese(text) ?? text); // for the browser's own dialogs
if (language !== "en") apply();
name();
new MutationObserver(name).observe(document.documentElement, { attributes: true, attributeFilter: ["lang"] });
document.addEventListener("click", (event) => { if (event.target.closest(".language-switch")) press(); });
