// What a reload would lose: the photo, prompt and settings that have no answer yet. Kept for this tab of the browser,
// and gone once there is an answer, which the history has. halluapp/ui/compare/draft.py brings it back.
const DRAFT = "halluapp-draft", VALUES = "halluapp-values"; // the latter is written when Run is pressed
let source = { number: 0 }; // leads to the photo again: an example's number, an upload's path, or its small copy
let upcoming = null; // the source of the photo that is awaited

// null where the browser forbids storage, or holds nothing.
function tabStorage(use) {
  try { return use(sessionStorage); } catch { return null; }
}

function readDraft() {
  return tabStorage((storage) => JSON.parse(storage.getItem(DRAFT)));
}

function keepDraft(changes) {
  const photo = source.copy ? { copy: state.photo } : source;
  const draft = { ...photo, name: state.name, prompt: (readDraft() || {}).prompt, ...changes };
  tabStorage((storage) => storage.setItem(DRAFT, JSON.stringify(draft)));
}

// With every state: a run that goes on and a photo without an answer are kept, an answer ends the draft.
function followDraft() {
  if (upcoming && !state.busy) {
    if (!state.error) source = upcoming;
    upcoming = null;
  }
  if (state.busy) keepDraft({ busy: true, values: tabStorage((storage) => storage.getItem(VALUES)) });
  else if (!state.panels.length && state.photo) keepDraft({ busy: false });
  else tabStorage((storage) => storage.removeItem(DRAFT));
}

// lost: the draft as it was before this page drew anything; the server is sent it once the page is there.
function wireDraft(lost) {
  window.halluappLost = lost ? JSON.stringify(lost) : "";
  const { number, path } = lost || {};
  if (lost) upcoming = number !== undefined ? { number } : path ? { path } : { copy: true };
  document.addEventListener("input", ({ target }) => {
    if (target.closest("#prompt") && readDraft()) keepDraft({ ...readDraft(), prompt: target.value });
  });
}
