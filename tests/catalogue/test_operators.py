"""The allow-list against the installed PyTorch, and every operator of PyTorch's database through
parse and evaluate.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from gradcli.catalogue import operators
from gradcli.errors import ExpressionError, GradcliError
from gradcli.evaluate import library
from gradcli.evaluate.machine import evaluate
from gradcli.language.expressions.expression import parse
from gradcli.language.source import Source
from tests.operator_samples import (
    NOT_TYPED,
    SEED,
    Typed,
    UntypableError,
    entries,
    in_parts,
    samples,
    seed,
    typable,
)
from tests.program import TORCH, run
from tools import allow_list

SPACES = ("torch", "F", "special", "linalg", "fft", "masked", "Tensor", "nn", "layers")


pytestmark = [pytest.mark.usefixtures("double"), pytest.mark.filterwarnings("ignore")]


def test_the_allow_list_is_that_of_the_installed_pytorch() -> None:
    with open(operators.FILE, encoding="ascii") as file:
        assert allow_list.renewed() == file.read()


def test_every_name_of_the_allow_list_is_there_or_is_marked() -> None:
    for space in SPACES:
        # the section of nn has the layers too, after its own
        for entry, found in zip(
            operators.entries()[space], operators.sections()[space].values(), strict=space != "nn"
        ):
            try:
                there = callable(library.function(found.path))
            except ExpressionError:
                there = False
            assert there or allow_list.split(entry)[1:], entry


def test_a_name_that_only_another_pytorch_has_is_an_error_that_names_the_installed_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.linalg, "matrix_sqrth", raising=False)
    library.function.cache_clear()
    for name in ("torch.linalg.matrix_sqrth", "matrix_sqrth"):
        ran = run("grad", f"{name}(A).sum()", "A=2,0;0,3", here=True)
        assert ran.status == 2
        assert f"error: PyTorch {torch.__version__} has no linalg.matrix_sqrth" in ran.stderr


def test_the_marks_of_the_allow_list_say_which_versions_have_a_name() -> None:
    def merged(known: str, found: str, version: str) -> list[str]:
        return allow_list.merged(
            {"torch": known.split()}, {"torch": found.split()}, version, "2.13"
        )["torch"]

    assert merged("abs gone", "abs new", "2.14") == ["abs", "gone-2.14", "new+2.14"]
    for version, found in {"2.13": "abs gone", "2.14": "abs new", "2.15": "abs new"}.items():
        assert merged("abs gone-2.14 new+2.14", found, version) == ["abs", "gone-2.14", "new+2.14"]
    assert merged("abs gone-2.15 new+2.15", "abs new", "2.14") == ["abs", "gone-2.14", "new+2.14"]
    assert merged("abs/1 again-2.14", "abs/1 again", "2.15") == ["abs/1", "again"]
    older = merged("abs new next+2.14", "abs gone", "2.12")
    assert older == ["abs", "gone-2.13", "new+2.13", "next+2.14"]


@in_parts(entries, usual=3)
def test_values_and_gradients_equal_plain_pytorch(name: str) -> None:
    compared = 0
    refused: list[str] = []
    for sample in samples(entries()[name], 5):
        try:
            compared += compare(Typed(entries()[name], sample))
        except (UntypableError, GradcliError) as error:
            if isinstance(error, GradcliError) and name in typable():
                raise
            refused.append(str(error))
    if name in typable():
        assert compared, refused
    else:
        assert compared == 0, "this one can be typed: take it off the list"


def test_the_list_of_what_cannot_be_typed_holds_nothing_else() -> None:
    unknown = NOT_TYPED.keys() - entries().keys()
    assert not unknown or (TORCH < (2, 13) and all("linear_cross_entropy" in it for it in unknown))
    assert len(typable()) >= 520


def compare(typed: Typed) -> int:
    """Compare every differentiable output of a sample and its gradients; how many outputs had
    any.
    """
    seed(SEED)
    compared = 0
    for place, plain in outputs(typed.plain()):
        text = f"({typed.text}){place}"
        if plain.is_sparse:
            plain, text = plain.to_dense(), f"({text}).to_dense()"
        if plain.is_complex():
            plain, text = (
                torch.view_as_real(plain.resolve_conj()),
                f"torch.view_as_real(({text}).resolve_conj())",
            )
        seed(SEED)
        program, state = parse(Source(text), tuple(typed.inputs)), torch.get_rng_state()
        value = evaluate(program, typed.inputs).value
        if not torch.equal(state, torch.get_rng_state()):
            assert operators.RANDOM & {step.name.rpartition(".")[2] for step in program.steps}, (
                f"{text} draws"
            )
        assert_same(value, plain, text)
        try:
            wanted = gradients(plain, typed.inputs)
        except RuntimeError:
            continue  # this output has no derivative at this point
        for name, mine, pytorchs in zip(
            typed.inputs, gradients(value, typed.inputs), wanted, strict=True
        ):
            assert_same(mine, pytorchs, f"d {text} / d {name}")
        compared += 1
    return compared


def outputs(value: Any, place: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a result that can be differentiated, each with the index that leads to it."""
    if isinstance(value, Tensor):
        if value.requires_grad and (value.is_floating_point() or value.is_complex()):
            yield place, value
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from outputs(item, f"{place}[{i}]")


def gradients(value: Tensor, inputs: dict[str, Tensor]) -> list[Tensor | None]:
    """The vjp of some fixed numbers for every input that requires one; None for the others."""
    seed(1)
    wanted = [tensor for tensor in inputs.values() if tensor.requires_grad]
    found = iter(
        torch.autograd.grad(
            (value * torch.rand_like(value)).sum(), wanted, allow_unused=True, retain_graph=True
        )
    )
    return [next(found) if tensor.requires_grad else None for tensor in inputs.values()]


def assert_same(mine: Tensor | None, pytorchs: Tensor | None, what: str) -> None:
    if mine is None or pytorchs is None:
        assert mine is pytorchs, what
        return
    mine, pytorchs = (
        tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
        for tensor in (mine, pytorchs)
    )
    if not torch.equal(mine, pytorchs):  # quick, but NaN is not equal to NaN
        torch.testing.assert_close(
            mine,
            pytorchs,
            rtol=1e-10,
            atol=1e-12,
            equal_nan=True,
            msg=lambda text: f"{what}\n{text}",
        )
