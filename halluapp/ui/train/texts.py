"""All text of the training tab."""

TAB = "Train"
# Figures of docs/results.md, "The shipped training runs".
INTRO = (
    "A short run of CHiP, DPO, HACL or AdaVIB on the 4-bit model, in a process of its own: close the page, come back, "
    "and it is still here. What it has learned becomes one more panel of Compare. Expect little of a short run. Of the "
    "shipped ones, only CHiP came to prefer truthful answers (+.32 [.02, .64] in ln p on 39 held-out pairs). None has "
    "shown that it invents less: the intervals of CHAIR_i and recall hold 0 on 24 held-out photos, CHiP's -.06 "
    "[-.12, .01] and -.03 [-.08, .01] as well, and its captions have 3.5 [1.6, 5.8] words fewer. The pairs shipped for "
    "this page are drawings and teach drawings; Measure says what your own run did."
)
ZERO_GPU = (
    "Training is off on ZeroGPU, which lends a GPU for seconds at a time; run the app on your own machine to train."
)
OFF = (
    "Training is off on this server, which others can reach; run the app on your own machine to train, or let whoever "
    "runs the server set HALLUAPP_TRAINING=on."
)
KIND = ("Method", "What the run learns.")
NAME = ("Name of the run", "Empty: the method and a number.")
SOURCE = ("Pairs to learn from", "A photo, a question, a truthful and a hallucinated answer each.")
SHIPPED_PAIRS, PAIRS_PATH, UPLOADED_PAIRS = (
    "Shipped pairs of drawn scenes",
    "A folder, a file or a data set",
    "Uploaded files",
)
PATH = ("Path or hub id", "A folder with pairs.jsonl, a JSONL or parquet file, or the id of a set like RLHF-V.")
UPLOAD = "pairs.jsonl with its photos, or one parquet file"
CHECK = "Check the pairs"
PAIRS = "Two of the pairs"
PAIR = "{question} — truthful: {chosen} — hallucinated: {rejected}"
PHOTO = "Photo to caption while it trains (none: a held-out one)"
PRESETS = "Presets and ablations"
METHOD_SETTINGS = "Settings of"
GROUPS = {"Recipe": "More settings of the run", "Lora": "Adapter"}
COMMAND = ("The same on the command line", "Settings that differ from the default only.")
SAVE, LOAD = "Save settings", "Load settings"
LENGTHEN = ("Lengthen", "Steps in all", "Train on to that step")
STEP = ("Step of the panel", "Steps that are still there", "Use this step")
STEP_CHOICE, BEST_STEP = "step {step} · {number} {value}", " · best"
STEP_USED = "{name} answers with step {step} from now on, as its panel and when it is measured."
START, STOP, RESUME = "Start", "Stop", "Resume"
ADD, REMOVE, DOWNLOAD, USE_SETTINGS = "Add as panel", "Remove panel", "Download", "Use its settings"
MEASURE = "Measure"
JUDGE = "Judge the captions"
JUDGED = "The captions of {name} are judged by {detector}."
NO_CAPTION = "{name} has no caption of a photo yet; let it train for some more steps."
BY_LABELS = "Judged by the labels of the photo; what the labels of the pairs never name is not judged."
BY_DETECTOR = "Judged by {detector}."
COUNT = "{named} things named, {wrong} not in the photo"
LABEL_REASONS = {
    "grounded": "in the photo", "contradicted": "not in the photo", "not sure": "not sure",
    "not checkable": "the labels of the pairs never name it",
}  # fmt: skip
RENAME, CONFIRM_RENAME = ("Rename", "New name"), "Rename {name}"
DELETE, CONFIRM_DELETE, CANCEL_DELETE = "Delete", "Delete {name} for good", "Keep it"
IMPORT = "Load an adapter made elsewhere"
IMPORT_FILES = "adapter_model.safetensors and adapter_config.json of peft, or projector.safetensors"
IMPORT_PATH = ("Or its folder on this machine", "Safetensors only: other formats can run code when they are opened.")
IMPORT_NAME = "Name"
IMPORT_BUTTON = "Load as panel"
ZIP = "The run as a zip: settings, curve, captions, adapter"
NO_RUNS = "No runs yet. The shipped pairs and the defaults make a first one: press Start."
IMPORTED = "made elsewhere"
STATES = {"waiting": "waiting", "starting": "starting", "preparing": "preparing", "running": "training",
          "finished": "finished", "stopped": "stopped", "failed": "failed", "interrupted": "interrupted"}  # fmt: skip
# What a run does before its first step, by its state and the last line of its log.
STAGES = {
    "starting": "its process starts",
    "reading": "loading the model and reading the pairs",
    "photos": "the vision tower looks at each photo once, {done} of {total}",
    "reference": "the untrained model reads all answers once, {done} of {total} pairs: training starts from there",
    "held-out": "the loss on held-out pairs before training is known; the first step comes next",
}
STAGE = "{stage} ({seconds} s)"
# Curves in the order in which they are drawn; others follow under their own name.
CURVES = {
    "loss": "Loss", "reward_margin": "Reward margin", "preferred": "Truthful answer preferred",
    "response": "Response loss", "segment": "Segment loss", "token": "Token loss (sequential KL)",
    "visual": "Visual loss", "photo_to_text": "Contrast, photo to text", "text_to_photo": "Contrast, text to photo",
    "told_apart": "Told apart from its hallucinated caption", "retrieval": "Photo finds its own caption",
    "similarity": "Similarity to the true caption",
    "similarity_hallucinated": "Similarity to the hallucinated one", "generation": "Generation loss",
    "kl": "KL of the bottleneck", "alpha": "Adaptive weight",
    "likelihood": "Likelihood loss", "reward_chosen": "Reward of the truthful answer",
    "reward_rejected": "Reward of the hallucinated answer", "rate": "Learning rate",
    "gradient": "Gradient norm", "memory_mb": "Memory, MB",
}  # fmt: skip
# What the memory of a step is for; as `training.memory.kinds` names it.
MEMORY_KINDS = {
    "weights": "Frozen weights", "trained": "Trained weights", "gradients": "Their gradients",
    "moments": "Moments of the optimizer", "rest": "All else at the peak: activations, work space, process",
}  # fmt: skip
# Rows of the before-and-after table; +1: more is better.
MEASURES = {
    "margin": "ln p(truthful) − ln p(hallucinated)", "preferred": "Truthful answer preferred",
    "visual_margin": "ln p(photo) − ln p(noised photo)", "retrieval": "Photo finds its own caption",
    "told_apart": "Told apart from its hallucinated caption", "distance": "Distance of photo and caption",
    "retrieval_heads": "Photo finds its own caption, through the heads",
    "told_apart_heads": "Told apart, through the heads", "separability": "Truthful and hallucinated apart (AUC)",
    "chair_i": "CHAIR_i, hallucinated objects",
    "chair_s": "CHAIR_s, captions with one", "recall": "Recall of objects", "length": "Words a caption",
}  # fmt: skip
BETTER = {"margin": 1, "preferred": 1, "visual_margin": 1, "retrieval": 1, "told_apart": 1, "distance": -1,
          "retrieval_heads": 1, "told_apart_heads": 1, "separability": 1, "chair_i": -1, "chair_s": -1,
          "recall": 1}  # fmt: skip

TRAINS = "Start trains {model} in {precision}."
MODELS = {"pocket": "the embedded model", "auto": "the largest model that fits the GPU"}
PRECISIONS = {"nf4": "4 bits (NF4)", "none": "its own precision"}
EARLIER_RUN = "Memory: {name}, an earlier run of this method, took {peak} MB at batch {batch}."
STARTED = "{name} has started."
QUEUED = "{name} waits for its turn: {other} is training, and runs go one at a time."
QUEUED_BEHIND = "{name} waits for its turn: runs go one at a time."
QUEUE_FULL = "{n} runs are training or waiting already; stop one or wait."
STOPPING = "{name} ends after the step it is in; what it has learned stays usable."
NOTHING_TO_STOP = "No run is training."
RESUMED = "{name} goes on."
NOTHING_TO_RESUME = "{name} is not a run that was stopped or broke off; there is nothing to go on with."
NOTHING_TO_LENGTHEN = "{name} has no state to go on from; start another run with more steps."
NOT_LONGER = "{name} has done {done} steps; give more than that."
PAIRS_GONE = "The pairs of {name} are not at {data} any more; put them back there to go on."
LENGTHENED = "{name} goes on to step {steps}."
NOTHING_TO_IMPORT = "Give the files of an adapter, or the folder in which they lie."
ADDED = "{name} is a panel of Compare now, beside the others."
REMOVED = "{name} is no panel any more; the run is still here."
DELETED, RENAMED = "{name} is deleted.", "{old} is {new} now."
LOADED = "Settings loaded."
NOT_SETTINGS = "This file holds no settings of a run; save some with the button beside this one."
PAIRS_GOOD = "{pairs} pairs of {photos} photos; every line is in order."
MEASURED_N, MEASURED_STEP = "{pairs} pairs of {photos} photos", "after step {step}"
MEASURE_STARTED = "{name} is being measured against the model as it was; the numbers appear below."
MEASURING = "measuring: {line}"
MEASURE_FAILED = "Measuring failed: {line}"
ANOTHER_RUN, NO_RUN = "Another run", "There is no run {name} any more."
BEING_MEASURED = "{name} is being measured; wait until its numbers are there."
NO_PAIRS_OF_IMPORT = "{name} was made elsewhere, so there are no held-out pairs to measure it on."
TRAINING_FIRST = "{name} is training; measure when it is done."
MEASURING_ALREADY = "A run is being measured already; wait until its numbers are there."
NO_ADAPTER = "The run {name} has saved no adapter yet; let it train for some more steps."
NO_UPLOAD = "No pairs are uploaded yet; drop pairs.jsonl with its photos, or one parquet file."
TWO_FILES = "Upload one file of pairs (pairs.jsonl or a parquet file) with its photos, not {n}."
OUTSIDE = "A line of the uploaded pairs names a photo that was not uploaded with them: {name}."
NO_PATHS = "Paths of the server cannot be read here; upload the pairs instead."


def preset_line(name: str) -> str:
    """What a preset did."""
    return f"Preset “{name}”: the settings it names are set, all others stay as they were."
