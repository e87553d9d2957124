"""Malformed tensor literals: each says what is wrong, where, and what to do, and nothing else gets
through.

`python -m tests.language.test_malformed_literals` writes the messages of the cases again, for a
reader to compare.
"""

import json
import math
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcli.errors import GradcliError, LiteralError, SizeError
from gradcli.language.literals.constructors import Made
from gradcli.language.literals.literal import Numbers, from_json, parse, parse_stream, read_json
from gradcli.language.literals.literal_grammar import Parser
from gradcli.language.source import Source
from tests.choice import rare

CASES = Path(__file__).parents[1] / "cases" / "malformed_literals.txt"

PLAIN = st.text("0123456789.,;e+-[]() \n", max_size=12)
WORDS = st.lists(
    st.sampled_from(
        [
            "1",
            "2.5",
            "pi",
            "nan",
            ",",
            ";",
            "[",
            "]",
            "(",
            ")",
            "+",
            "-",
            "*",
            "/",
            "=",
            "True",
            "'NaN'",
            "tensor(",
            "array(",
            "zeros(",
            "arange(",
            "np.float64(",
            "dtype=",
            "torch.int8",
            "size=",
            "<x>",
            "...",
            "@",
        ]
    )
    | st.sampled_from(" \n"),
    max_size=12,
).map("".join)


@pytest.mark.parametrize("draws", [200, rare(600)])
def test_any_text_is_a_literal_or_an_error_with_a_place_and_a_cure(draws: int) -> None:
    @given(st.one_of(PLAIN, WORDS, st.text(max_size=20)))
    @settings(max_examples=draws)
    def is_one(text: str) -> None:
        for read in (parse, parse_stream):
            try:
                found = read(Source(text, "--x"))
            except GradcliError as error:
                problem = error
            else:
                assert not isinstance(found, Numbers) or len(found.values) == math.prod(found.shape)
                continue
            assert problem.span is not None
            assert len(problem.span.draw()) == 2
            assert problem.hint
            assert problem.message.isascii()
            assert not problem.message.endswith(".")

    is_one()


@pytest.mark.parametrize("draws", [200, rare(600)])
def test_the_short_way_reads_what_the_grammar_reads(draws: int) -> None:
    @given(
        st.one_of(
            PLAIN, PLAIN.map(lambda text: f"tensor({text})"), PLAIN.map(lambda text: f"[{text}]")
        ),
        st.booleans(),
    )
    @settings(max_examples=draws)
    def is_read(text: str, lines: bool) -> None:
        try:
            found = (parse_stream if lines else parse)(Source(text))
        except GradcliError:
            with pytest.raises(GradcliError):
                Parser(Source(text), lines=lines).literal()
            return
        if isinstance(found, Numbers):
            read = Parser(Source(text), lines=lines).literal()
            assert not isinstance(read, Made)
            assert (list(found.values), found.shape) == read[:2]
            assert found.dtype == read[2] or "-0" in text  # no integer is negative zero

    is_read()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, "x"], "expected a number, got a string"),
        ("1", "expected a number, got a string"),
        ([None], "expected a number, got null"),
        ({"a": 1}, "expected a number, got an object"),
        ([1, True], "expected a number, got a bool"),
        ([1, [2]], "expected a number, got a list"),
        ([[1], [2, 3]], "row 2 has 2 numbers, but row 1 has one number"),
        ([[1, 2], []], "row 2 has 0 numbers, but row 1 has 2 numbers"),
        ([[1], 2], "row 2 is a bare number, but row 1 has one number"),
        (10**400, "the number is too large for 64 bits"),
        ([-(10**400)], "the number is too large for 64 bits"),
    ],
)
def test_json_that_is_no_tensor(value: object, message: str) -> None:
    with pytest.raises(LiteralError) as caught:
        from_json(value, Source(repr(value)[:70], "inputs.x"))
    assert caught.value.message == message
    assert caught.value.hint
    assert caught.value.span is not None
    assert caught.value.span.draw() == [repr(value)[:70], "^" * len(repr(value)[:70])]


@pytest.mark.parametrize("depth", [64, 65, 5_000])
def test_json_nests_at_most_64_deep(depth: int) -> None:
    value = json.loads("[" * min(depth, 900) + "1" + "]" * min(depth, 900))
    text = "[" * depth + "1" + "]" * depth
    if depth == 64:
        assert from_json(value, Source(text)).shape == (1,) * 64
        assert read_json(text, Source(text)).shape == (1,) * 64
        return
    for read in (partial(from_json, value, Source(text)), partial(read_json, text, Source(text))):
        with pytest.raises(SizeError, match="at most 64 are allowed") as caught:
            read()
        assert caught.value.span is not None
        assert caught.value.hint


# Malformed literals: a text file of an input, an empty line, and the error


def cases() -> list[tuple[str, str]]:
    """Each case as it stands in the file: the input with Python's escapes, and the expected
    error.
    """
    blocks = CASES.read_text("utf-8").removesuffix("\n").split("\n----\n")
    return [
        (given, expected) for given, _, expected in (block.partition("\n\n") for block in blocks)
    ]


def report(written: str) -> str:
    """The error for a case: message, place and cure."""
    stream = written.startswith("stdin:")
    text = written.removeprefix("stdin:").encode().decode("unicode_escape")
    try:
        found = parse_stream(Source(text)) if stream else parse(Source(text))
    except GradcliError as error:
        place = error.span.draw() if error.span else []
        return "\n".join(
            line.rstrip()
            for line in (f"{error.kind}: {error.message}", *place, f"cure: {error.hint}")
        )
    return f"no error: {found}"


@pytest.mark.parametrize(
    ("written", "expected"),
    [case if place % 2 == 0 else rare(*case) for place, case in enumerate(cases())],
)
def test_malformed(written: str, expected: str) -> None:
    assert report(written) == expected


@pytest.mark.parametrize(
    "text", [f"{10**200}*{10**200}", f"tensor([{10**200}*{10**200}])", "1e200*1e200", "1/1e-309"]
)
def test_a_product_beyond_64_bits_is_an_error(text: str) -> None:
    with pytest.raises(LiteralError, match="the result is too large for a 64-bit float"):
        parse(Source(text))


def test_there_are_many_malformed_cases() -> None:
    assert len({written for written, _ in cases()}) >= 60


if __name__ == "__main__":
    blocks = [f"{written}\n\n{report(written)}" for written, _ in cases()]
    CASES.write_text("\n----\n".join(blocks) + "\n", "utf-8")
