"""Verification by sabotage: with a rule of `derive` broken, no text that is still shown is wrong."""

import math
import random
import re
from functools import cache

import pytest

import gradcli
from gradcli.evidence.derive import derive
from tools.derivations import read
from tools.sabotage import Break, Text, begun, in_turns, of_functions, of_texts, sabotage

SEED = 20261127


@cache
def sample(size: int) -> tuple[list[Text], list[Break]]:
    """Some expressions of both corpora, and breaks of rules that they run."""
    corpus = [*read("derivations.txt"), *read("formulas_wild.txt")]
    texts = begun(random.Random(SEED).sample(corpus, size))
    used = set().union(*(text.used for text in texts))
    breaks = [each for each in (*of_texts(), *of_functions(0, SEED)) if each.use in used]
    return texts, in_turns(breaks, SEED)[: 5 * size // 2]


@pytest.mark.exhaustive
def test_no_text_is_wrong_with_a_rule_broken(double: None) -> None:
    tally = sabotage(*sample(16), 1, SEED, seconds=math.inf)
    assert tally.wrong == []
    assert tally.counts["texts lost"] >= 10
    assert tally.counts["texts still shown"] >= 10


@pytest.mark.exhaustive
def test_without_verification_some_would_be(double: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "TOLERANCE", math.inf)
    tally = sabotage(*sample(16), 1, SEED, seconds=math.inf)
    assert tally.wrong


def test_no_formula_reads_a_step_that_it_does_not_define(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "h = tanh(w*x + v); z = h*v; sigmoid(z) + h*z"
    assert "h = " in (gradcli.derive(words, x=1, w=2, v=3).formulas["w"] or "")
    monkeypatch.setattr(derive, "_needed", lambda node, walk: [])
    for text in gradcli.derive(words, x=1, w=2, v=3).formulas.values():
        bound = set(re.findall(r"(\w+) = ", text or ""))
        assert {*re.findall(r"\b[a-z]\b", text or "")} <= {"x", "w", "v", *bound}
