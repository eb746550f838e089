"""All text that a person reads on the page."""

TITLE = "halluapp"
TAGLINE = "One photo, one prompt: the same LVLM under mitigation methods, side by side."
TAB = "Compare"
PROMPTS = (
    "Describe this image in detail.",
    "Describe this image.",
    "List the objects in the image.",
    "Is there a dog in the image?",
)
PHOTO = "Photo"
PROMPT = "Prompt (Shift+Enter runs it)"
PROMPT_HINT = "Ask something about the photo"
RUN = "Run"
STOP = "Stop"
METHODS = "Methods"
SETTINGS = "Methods and settings"
RESET = "Reset all settings"
SETTINGS_HELP = "Every method is one panel, up to {most}; all of them are decoded together in one batch."
STACKED = (
    "Stacked panels",
    "A method applied to the model that another one edited; both take their own settings below.",
)
TRAINED = "Panels of training runs"
SAMPLING = "Sampling"
TEMPERATURE = ("Temperature", "0: greedy, the most probable token.")
TOP_P = ("Top-p", "Sampling from the smallest set of tokens with this probability.")
SEED = ("Seed", "The same seed and settings give the same texts.")
SAMPLES = ("Samples", "Answers of every method, each with the next seed; more than one above temperature 0.")
MAX_TOKENS = ("Max new tokens", "Longer answers hallucinate more: compare at equal length.")
REPETITION = ("Repetition penalty", "From 1 for all panels alike; 0: each method's own, which only DoLa has.")
STOP_STRINGS = ("Stop strings", "One a line; an answer ends before the first that it reaches.")
SURE = (
    "How sure verdicts must be",
    "Higher: fewer words are judged, more of those verdicts are right. Moving it judges again without decoding again.",
)
SAVE = "Save this comparison:"
EXAMPLE_SHOWN = "An example, decoded beforehand ({credit}). Run decodes it anew, with your prompt and settings."
REPORT_SHOWN = "A saved report{date}, decoded by {model}."
RUN_LOST = (
    "The page was reloaded while a comparison ran, which ended it. Photo, prompt and settings are back: press Run to "
    "start it again."
)
BACK = "The photo is back from before the reload; press Run."
READY = "Choose a photo and press Run."
CHECKING = "Checking the request…"
DECODING = "Decoding {n} methods in one batch…"
DECODING_SAMPLES = "Decoding {samples} samples of {n} methods in one batch…"
DONE = "Done in {seconds:.1f} s."
STOPPED = "Stopped."
FAILED = "The comparison broke off on the server; run it again."
