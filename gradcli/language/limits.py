"""Every bound on the user's input, with its unit and reason; all are checked before computing."""

from dataclasses import dataclass

from gradcli.errors import SizeError


@dataclass(frozen=True)
class Limit:
    """A bound: the largest `value` allowed, what it counts, and why there is one."""

    value: int
    unit: str
    reason: str

    def check(self, count: int, what: str, **where: object) -> None:
        """Raise a SizeError about `what`, at `where`, if `count` is over the bound."""
        if count > self.value:
            message = f"{what}: {count:,} {self.unit}, but at most {self.value:,} are allowed ({self.reason})"
            raise SizeError(message, **where)  # type: ignore[arg-type]


ELEMENTS = Limit(2**28, "elements", "a tensor of that size takes 1 GiB in float32")
LITERAL_TEXT = Limit(2**27, "characters", "keep larger data in a file, such as .npy")
COLUMNS_TEXT = Limit(2**32, "bytes", "keep larger data as .npy")
LITERAL_DEPTH = Limit(64, "levels of nesting", "PyTorch's tensors have at most 64 dimensions")
RESULTS = Limit(2**16, "values", "each one is a separate object")
EXPRESSION_TEXT = Limit(100_000, "characters", "no written formula is longer")
EXPRESSION_DEPTH = Limit(200, "levels of nesting", "Python's parser fails not far beyond that")
EXPRESSION_NODES = Limit(10_000, "operations and names", "more is a program, not an expression")
LAYERS = Limit(2_000, "layers and tensors of parameters", "each one is a separate object")
MODULE_DEPTH = Limit(64, "levels of modules", "each level is several calls in Python")
PLAIN_INTEGER = Limit(2**63 - 1, "", "PyTorch's integers have 64 bits")
CALL_TEXT = Limit(10_000, "characters", "enough for a weight for each of a thousand classes")
GRAPH_NODES = Limit(2_000, "nodes", "a larger picture is unreadable")
JOB_TEXT = Limit(2**27, "bytes", "keep larger data in a file, such as .npy, with --allow-files")
PARTS_TEXT = Limit(2**24, "characters", "split the expression into steps: h = ...; ...")
PASTED_TEXT = Limit(1_000_000, "characters", "the last lines of a log or a traceback are enough")

PROGRAMS = 1024
"""The number of parsed expressions that a cache keeps, however long a batch is."""
