// Several answers of every method. All panels show the same sample, so that what stands side by side has one seed.
let sample = 0; // the one that is shown, from 0

// The pager of a panel; it goes round, so that no button ever loses the focus by being disabled.
function samplePager({ title }) {
  const group = make("div", "pager"), count = make("span", "count");
  const button = (text, name, step) => {
    const node = make("button", "turn", text);
    node.type = "button";
    node.setAttribute("aria-label", name + " sample: " + title);
    node.addEventListener("click", () => showSample(sample + step));
    return node;
  };
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Samples: " + title);
  group.append(button("‹", "Previous", -1), count, button("›", "Next", 1));
  return group;
}

function drawPager(pager, data) {
  const n = data.samples.length + 1;
  pager.hidden = n < 2;
  pager.title = sampleTitle(data, sample);
  pager.querySelector(".count").textContent = sampleLabel(data, sample);
}

function showSample(number) {
  const n = Math.max(...answered.map((panel) => panel.samples.length)) + 1;
  sample = (number + n) % n;
  closeEvidence();
  for (const view of views.values()) {
    view.pieces.splice(0).forEach((piece) => piece.node.remove());
    view.text.replaceChildren();
    view.labels.replaceChildren();
  }
  drawAnswers();
  say(sampleTitle(answered[0], sample));
}
