"""The training tab: form, start and stop, live board, list of runs and what can be done with one."""
