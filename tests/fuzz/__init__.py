"""Coverage-guided fuzzing of every reader: ``python -m tests.fuzz --help``.

* `targets`: what is fuzzed, one small function per reader
* `loop`: mutations, and the loop that keeps inputs which reach new lines
* `corpus/TARGET`: the inputs to start from; `crashes/TARGET`: those that broke a reader
"""
