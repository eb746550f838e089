// Verdicts follow the sureness slider while it moves; when it is let go of, the server judges the report itself.
const DEFAULT_SURE = 0.9, LEAST_LOGIT_P = 1e-6; // as in halluapp/grounding/evidence.py
const PEOPLE = "person"; // never contradicted: their absence was never shown reliably

function logit(p) {
  const inside = Math.min(Math.max(p, LEAST_LOGIT_P), 1 - LEAST_LOGIT_P);
  return Math.log(inside / (1 - inside));
}

// Least p that grounds and greatest p that contradicts: both move by the same step in log-odds.
function cutsAt(cuts, sure) {
  const step = logit(sure) - logit(DEFAULT_SURE), back = (x) => 1 / (1 + Math.exp(-x));
  const { grounded = DEFAULT_SURE, contradicted = 1 - DEFAULT_SURE } = cuts;
  return [Math.max(0.5, back(logit(grounded) + step)), Math.min(0.5, back(logit(contradicted) - step))];
}

// The verdict at another sureness; what has no calibrated probability waits for the server.
function verdictAt(mention, { cuts, support }, sure) {
  const { presence: p, checked_as: label } = mention;
  if (p === null || p === undefined || !label) return mention.verdict;
  const [ground, contradict] = cutsAt(cuts, sure), sides = support[label] || {};
  if (sides.grounded !== false && p >= ground) return "grounded";
  if (sides.contradicted !== false && label !== PEOPLE && p <= contradict) return "contradicted";
  return "not sure";
}

function judgeLive(sure) {
  const { judge } = state || {};
  if (!judge || state.busy || !(sure >= 0.5 && sure < 1)) return;
  const again = (answer) => ({
    ...answer, mentions: answer.mentions.map((one) => ({ ...one, verdict: verdictAt(one, judge, sure) })),
  });
  answered = answered.map((panel) => ({ ...again(panel), samples: panel.samples.map(again) }));
  drawAnswers();
}

// settings: the column around the slider, which gradio mounts later than the column.
function wireSureness(settings) {
  let asked = 0;
  settings.addEventListener("input", ({ target }) => {
    if (!target.closest("#sure")) return;
    if (!asked) requestAnimationFrame(() => { judgeLive(asked); asked = 0; });
    asked = Number(target.value);
  });
}
