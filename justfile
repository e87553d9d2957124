# One word for each thing one does; `just` alone lists them. Words after it are passed on: `just test tests/cli -x`.
# Each line can also be typed as it stands. `pip install --group dev` brings just; CONTRIBUTING.md says how.

set positional-arguments

[private]
default:
    @{{ just_executable() }} --list --unsorted

# the tests, all of them or those that you name
test *words:
    .venv/bin/python -m pytest "$@"

# the quickest test of each part, in less than 20 seconds
smoke *words:
    .venv/bin/python -m pytest -m smoke "$@"

# every case of what the tests try a part of: minutes, before a release
exhaustive *words:
    .venv/bin/python -m pytest -m exhaustive "$@"

# the tests, with the statements and branches that they run
coverage *words:
    .venv/bin/python -m pytest -p tools.coverage "$@"

# style and types
lint:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy

# put the code into shape
format:
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .

# the site, in build/site; fails on a link that leads nowhere
docs:
    .venv/bin/python -m mkdocs build --strict --quiet

# the outputs in the README and docs/, as the program prints them now: read the diff
outputs *pages:
    .venv/bin/python -m tests.docs.test_docs --update "$@"

# broken inputs at everything that gradcli reads
fuzz *words:
    .venv/bin/python -m tools.fuzz "$@"

# textbook gradients through derive: how many, how long, and whether they are right
derivations *words:
    .venv/bin/python -m tools.derivations "$@"

# rules of derive broken in turn: whether a wrong formula is ever shown
sabotage *words:
    .venv/bin/python -m tools.sabotage "$@"

# whole commands and their memory beside plain programs; fails where a target is missed
bench *words:
    .venv/bin/python -m tools.benchmarks "$@"

# small faults put into a module: which of them no test notices
mutation *words:
    .venv/bin/python -m tools.mutation "$@"

# many calls of a server, or cold calls against warm ones
soak *words:
    .venv/bin/python -m tools.soak "$@"

# forks that use PyTorch's threads
forks *words:
    .venv/bin/python -m tools.forks "$@"

# calls on closed pipes, full disks, odd terminals and under signals
surroundings *words:
    .venv/bin/python -m tools.surroundings "$@"

# the tests with every PyTorch, Python and lower bound that is promised
versions *words:
    .venv/bin/python -m tools.versions "$@"

# wheel and source archive of the last commit, built twice, compared, installed and run
release *words:
    .venv/bin/python -m tools.release "$@"
