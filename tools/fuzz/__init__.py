"""Fuzzing: inputs that nobody would write, thrown at every place where gradcli reads something.

`targets.py` is the table of what is fuzzed. `corpus.py` holds where inputs begin, `grammar.py` and
`requests.py` make new ones, `mutation.py` breaks them; `runners.py` runs them, `invariants.py` says
what must hold, `shrinking.py` makes what fails small. `python -m tools.fuzz` runs it all, `python
-m tools.fuzz.guided` lets coverage guide it.
"""
