"""Looking inside an answer: what a word rests on, read from the model after the comparison is over.

Pure functions of a loaded LVLM, a photo and an answer; `question.py` is the entrance that the page and the command use.
"""
