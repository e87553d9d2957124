"""Which mistake a name, a pasted message or a question means: letters are compared, numbers and
shapes are not.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from gradcli.catalogue.mistakes import ALIASES, MISTAKES
from gradcli.catalogue.mistakes.entry import Mistake, Vague
from gradcli.language import pasted

_GAP = "[a-z_]{0,64}"
"""What `...` in a fragment stands for."""

_OPERATOR = re.compile(r"(type\(s\)\s*for\s*)(\*\*|[-+*/@%])\s*=?\s*:")
_OPERATORS = {
    "*": "times",
    "-": "minus",
    "+": "plus",
    "/": "over",
    "@": "at",
    "%": "modulo",
    "**": "power",
}

_LETTER = re.compile("[A-Za-z_]")
_NAMED = re.compile(r"^[\w.]*:\s*", re.ASCII)
"""The name of an error, before what it says."""

_FOREIGN = re.compile(
    r"(?!Runtime|NotImplemented|User)[\w.]*(?:Error|Warning|Exception)\b|(?i:error:)", re.ASCII
)
"""The name of an error that PyTorch seldom gives."""

_FEWEST = 3
"""Words that a piece of a message must have to be recognised by itself."""

_AROUND = 16
"""Letters that may be around a vague message which is all that was pasted: a log's level, the rank
of a process."""

_QUESTION = 12
"""Words that a question in plain words has at most."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TERMS = _set(
    """
    autograd backward batch_size bce broadcasting classes clone create_graph cross cuda data-dependent derivative detach
    differentiated dtype eigenvalues entropy exploding forward grad grad_fn gradcheck gradient gradients graph hessian
    in-place inplace jacobian jacrev kink kl leaf log_softmax logits logsumexp loss mean mse nan nll no_grad non-leaf
    non-scalar optimizer relu requires_grad retain_graph retain_grad saturated saturation scalar sigmoid softmax tensor
    tensors unused upstream vanishing vjp vmap weights zero_grad
    """
)
"""The technical terms: an entry is near a text only by these."""

_FILLERS = _set(
    """
    a about after all always and are at be because becomes become before by can do does during every for from get gets getting
    go goes going has have how i in into is it its keep keeps just layer layers model my net network neural not of on
    only or parameter parameters pytorch so some sometimes stay stays step steps still suddenly that the then there these
    this to torch train training epoch epochs iteration batch batches value values x w y turn
    turned turns up variable was weight weights what when where which while why with
    """
)
"""Words of a question that mean nothing by themselves."""


def by_name(name: str) -> Mistake | None:
    """The mistake of that name, in any case and with `_` or `-`; None where there is none."""
    plain = name.strip().lower().replace("_", "-")
    return MISTAKES.get(ALIASES.get(plain, plain))


def by_text(text: str) -> list[Mistake]:
    """The mistakes that a text means, those that fit most closely first, then the most common."""
    text = pasted.plain(text)
    if meant := _by_symptoms(text):
        return meant
    for statement in pasted.counting(pasted.without_source(text)):
        if scores := _scores(_asserted(statement.said, text), text):
            return _best_first(scores)
    return []


def _best_first(scores: Mapping[str, float]) -> list[Mistake]:
    """The mistakes that have a score, the highest first; of equal ones the most common first, as in
    the table.
    """
    return sorted(
        (each for each in MISTAKES.values() if each.name in scores),
        key=lambda each: -scores[each.name],
    )


def last_said(text: str) -> str:
    """The last error of a text, or where there is none its last warning, or all of it."""
    said = pasted.statements(pasted.without_source(pasted.plain(text)))
    named = [each for each in said if not each.bare]
    failed = [each for each in named if not each.warning]
    return (failed or named or said)[-1].said.strip() or text.strip()


def nearest(text: str) -> list[Mistake]:
    """The three mistakes that share the rarest technical terms with a text, fewer where fewer are
    near.
    """
    words = _plain_words(text)
    few = 3 if _FOREIGN.match(text) else 2 if len(words - _FILLERS) > _FEWEST else 1
    scores = {
        name: sum(known[word] for word in shared)
        for name, known in _telling().items() if len(shared := {*known} & words & _TERMS) >= few
    }  # fmt: skip
    return _best_first(scores)[:3]


def sharing(mistake: Mistake) -> list[Mistake]:
    """The other mistakes of which PyTorch says the same."""
    return [
        other
        for other in MISTAKES.values()
        if other != mistake and _pieces(other) & _pieces(mistake)
    ]


def _pieces(mistake: Mistake) -> set[str]:
    return {*mistake.fragments, *(piece.text for piece in mistake.vague)}


# --- messages -----------------------------------------------------------------------------------


class _Piece(NamedTuple):
    """A piece of a message in the table: of which mistake, as letters, and whether it needs more
    than itself.
    """

    name: str
    pattern: re.Pattern[str]
    literal: str
    vague: Vague | None


class _Match(NamedTuple):
    """A piece in a statement: where it begins and ends, and how many letters it accounts for."""

    name: str
    start: int
    stop: int
    letters: int


def _with_operators_named(text: str) -> str:
    """A text with the operator in "unsupported operand type(s) for +" as a word, because only
    letters are compared.
    """
    return _OPERATOR.sub(lambda found: f"{found[1]}{_OPERATORS[found[2]]}:", text)


class _Squeezed:
    """The letters of a statement, and the place of each in it."""

    def __init__(self, said: str) -> None:
        self.said = _with_operators_named(said)
        self._places = [found.start() for found in _LETTER.finditer(self.said)]
        self.letters = pasted.letters(self.said)

    def is_whole(self, start: int, stop: int) -> bool:
        """Whether these letters begin and end with a word."""
        first, last = self._places[start], self._places[stop - 1]
        return not (_LETTER.match(self.said, first - 1) if first else None) and not _LETTER.match(
            self.said, last + 1
        )

    def opens_line(self, start: int) -> bool:
        """Whether this letter is the first one of its line."""
        place = self._places[start]
        return not _LETTER.search(self.said, self.said.rfind("\n", 0, place) + 1, place)


@cache
def _table() -> list[_Piece]:
    return [
        _Piece(
            mistake.name,
            re.compile(_pattern(text)),
            pasted.letters(re.sub("<.*?>", "", text)),
            vague,
        )
        for mistake in MISTAKES.values()
        for text, vague in [(text, None) for text in mistake.fragments]
        + [(each.text, each) for each in mistake.vague]
    ]


def _pattern(fragment: str) -> str:
    """What a fragment looks like among letters alone."""
    parts = re.split(r"(\.\.\.|<.*?>)", _with_operators_named(fragment))
    return "".join(
        _GAP if part == "..." else f"(?:{'|'.join(map(pasted.letters, part[1:-1].split('|')))})" if part[:1] == "<"
        else pasted.letters(part)
        for part in parts
    )  # fmt: skip


def _asserted(said: str, text: str) -> str:
    """What a GPU's late error is about: the assertions that failed before it, where the text shows
    any.
    """
    late = "devicesideassert" in pasted.letters(said)
    return "\n".join(pasted.assertions(text)) or said if late else said


def _scores(said: str, text: str) -> dict[str, int]:
    """The mistakes that a statement tells of, each with the letters that its fragments account
    for.
    """
    squeezed = _Squeezed(said)
    found = [
        match for piece in _table() for match in _matches(piece, squeezed)
        if piece.vague is None or _is_meant(piece.vague, match, said, text)
    ]  # fmt: skip
    scores: dict[str, int] = {}
    for match in _latest(found, squeezed):
        scores[match.name] = max(scores.get(match.name, 0), match.letters)
    return scores or _of_piece(_NAMED.sub("", said))


def _matches(piece: _Piece, squeezed: _Squeezed) -> Iterator[_Match]:
    for found in piece.pattern.finditer(squeezed.letters):
        if squeezed.is_whole(*found.span()):
            yield _Match(piece.name, *found.span(), len(piece.literal))


def _is_meant(vague: Vague, match: _Match, said: str, text: str) -> bool:
    """Whether a vague piece is about PyTorch: the text shows it, or is nothing but the message."""
    message = len(pasted.letters(_NAMED.sub("", said))) - (match.stop - match.start)
    around = len(pasted.letters(text)) - len(pasted.letters(said))
    return (vague.alone and max(message, around) <= _AROUND) or pasted.shows(text, vague.signs)


def _latest(found: list[_Match], squeezed: _Squeezed) -> list[_Match]:
    """The pieces of what was said last: a line that begins with a piece of another mistake is a
    message of its own.
    """
    for start in sorted({match.start for match in found}, reverse=True):
        before = [match for match in found if match.start < start]
        after = [match for match in found if match.start >= start]
        apart = all(match.stop <= start for match in before)
        if (
            before
            and apart
            and squeezed.opens_line(start)
            and not {m.name for m in before} & {m.name for m in after}
        ):
            return after
    return found


def _of_piece(said: str) -> dict[str, int]:
    """The mistakes of which a few pasted words are a piece of the message."""
    words = re.findall("[a-z_]+", said.lower())
    if len(words) < _FEWEST or not _TERMS & {*words}:
        return {}
    joined = "".join(words)
    return {piece.name: len(joined) for piece in _table() if joined in piece.literal}


# --- questions ----------------------------------------------------------------------------------


def _by_symptoms(text: str) -> list[Mistake]:
    """The mistakes of which a short question in plain words names a symptom, and nothing else."""
    words = _plain_words(text) if len(text) < 200 else set()
    if not 0 < len(words) <= _QUESTION:
        return []
    scores = {}
    for mistake in MISTAKES.values():
        named = [wanted for symptom in mistake.symptoms if (wanted := {*symptom.split()}) <= words]
        if named and words - _FILLERS <= set().union(*named):
            scores[mistake.name] = max(map(len, named))
    return _best_first(scores)


def _plain_words(text: str) -> set[str]:
    """The words of a text in lower case."""
    return {*re.findall("[a-z_]+(?:-[a-z]+)*", text.lower())}


@cache
def _telling() -> dict[str, dict[str, float]]:
    """The words of each mistake, each with its rarity: 1 where no other mistake has it, soon
    nothing where many do.
    """
    texts = {
        mistake.name: " ".join(
            [
                mistake.name,
                mistake.name.replace("-", " "),
                mistake.title,
                *_pieces(mistake),
                *mistake.symptoms,
            ]
        )
        for mistake in MISTAKES.values()
    }
    for alias, name in ALIASES.items():
        texts[name] += f" {alias}"
    words = {name: _plain_words(known) for name, known in texts.items()}
    often = Counter(word for known in words.values() for word in known)
    return {name: {word: 1 / often[word] ** 2 for word in known} for name, known in words.items()}
