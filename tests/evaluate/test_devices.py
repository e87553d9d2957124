"""Random numbers are the CPU's on every device; the meta device, which every machine has, stands
for another one.
"""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import torch

from gradcli.catalogue import operators
from gradcli.commands import dispatch
from gradcli.commands.batch.page import loaded
from gradcli.commands.grad.request import Grad
from gradcli.errors import GradcliError, MathError
from gradcli.evaluate import job, library, machine
from gradcli.evaluate.machine import evaluate
from gradcli.evaluate.tensors import TensorMaker
from gradcli.language.expressions.expression import parse
from gradcli.language.literals.literal import parse as read
from gradcli.language.source import Source
from gradcli.options.check import check
from gradcli.options.fill import from_json
from gradcli.process.pool import answers
from gradcli.show.program.formulas import WrittenExpression
from gradcli.show.program.tensor_code import tensor_code
from tests.program import lines_of, printed

META = torch.device("meta")
DRAWN = {
    "torch.rand(2)*x[0]": 'torch.rand(2, device="cpu").to("meta") * x[0]',
    "F.dropout(x, 0.5)": 'F.dropout(x.cpu(), 0.5).to("meta")',
    "x.bernoulli()": 'x.cpu().bernoulli().to("meta")',
    "normal(x, std=x)": 'torch.normal(x.cpu(), std=x.cpu()).to("meta")',
    "torch.randint(0, 5, (2,))": 'torch.randint(0, 5, (2,), device="cpu").to("meta")',
    "torch.rand_like(input=x)": 'torch.rand_like(input=x.cpu()).to("meta")',
    "multinomial(x, 2)": 'torch.multinomial(x.cpu(), 2).to("meta")',
    "nn.Dropout(0.3)(x)": 'nn.Dropout(0.3)(x.cpu()).to("meta")',
    "rrelu(x, training=True)": 'F.rrelu(x.cpu(), training=True).to("meta")',
    "np.sort(rand(3))": 'torch.sort(torch.rand(3, device="cpu").to("meta"), dim=-1).values',
}
"""Expressions that draw, and what the program says on another device."""


@pytest.mark.parametrize("text", DRAWN)
def test_an_expression_draws_on_the_cpu_and_moves(text: str) -> None:
    x = torch.tensor([0.25, 0.5, 0.75])
    program = parse(Source(text), ("x",))
    states = []
    for device in (torch.device("cpu"), META):
        torch.default_generator.manual_seed(3)
        with device:
            value = evaluate(program, {"x": x}).value
        assert value.device == device
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
    torch.default_generator.manual_seed(4)
    assert not torch.equal(states[0], torch.get_rng_state())


@pytest.mark.parametrize("text", DRAWN)
def test_the_program_draws_on_the_cpu_and_moves(text: str) -> None:
    written = WrittenExpression(text, {"x": torch.tensor([0.25, 0.5, 0.75])}, "meta").value
    assert written.replace("'", '"') == DRAWN[text]
    torch.default_generator.manual_seed(3)
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
    assert printed(f"{head}x = torch.ones(3)/2\nprint(({written}).device)") == "meta\n"


@pytest.mark.parametrize(
    "text", ["F.dropout(x, 0.5) if 2 < 1 else x", "nn.Linear(3, 1)(x) if 2 < 1 else x"]
)
def test_a_call_that_is_not_run_is_written_as_it_stands(text: str) -> None:
    assert WrittenExpression(text, {"x": torch.ones(3)}, "meta", apart=True).value == text


def test_the_program_makes_modules_on_the_cpu_and_moves_them_unless_they_draw() -> None:
    x, made = torch.ones(3), 'with torch.device("cpu"):'
    written = WrittenExpression("nn.Linear(3, 2)(x).sum()", {"x": x, "linear.bias": x}, "meta")
    assert written.lines == [made, "    linear = nn.Linear(3, 2)", 'linear.to("meta")']
    lines = "\n".join(written.lines)
    head = "import torch\nfrom torch import nn\ntorch.set_default_device('meta')\n"
    end = "torch.set_default_device(None)"
    body = f"{lines}\nprint(({written.value.replace('x', 'torch.ones(3)')}).device)"
    assert printed(f"{head}{body}\n{end}") == "meta\n"
    text = "net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)); net(x)"
    drawn = WrittenExpression(text, {"x": x, "net.0.bias": x}, "meta")
    assert drawn.lines == [made, "    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))"]
    assert drawn.value == "net(x.cpu()).to('meta')"


@pytest.mark.parametrize("text", ["rand(2)", "-randn(2,3)", "randn(3)"])
def test_an_input_is_drawn_on_the_cpu_and_moved(text: str) -> None:
    states = []
    for device in ("cpu", "meta"):
        torch.default_generator.manual_seed(3)
        made = TensorMaker(torch.float32, device, str)(read(Source(text)))
        assert made.device.type == device
        states.append(torch.get_rng_state())
        code = tensor_code(read(Source(text)), made.new_ones(made.shape), leaf=True, device=device)
        assert ('device="cpu").to("meta")' in code) == (device == "meta")
        torch.default_generator.manual_seed(3)
        assert (
            printed(f"import torch\nx = {code}\nprint(x.device, x.requires_grad)")
            == f"{device} True\n"
        )
        assert torch.equal(torch.get_rng_state(), states[-1])
    assert torch.equal(*states)


@pytest.mark.smoke
def test_the_names_that_draw_are_names_of_the_allow_list() -> None:
    for name in operators.RANDOM:
        assert any(
            operators.in_space(space, name) for space in ("torch", "F", "Tensor", "linalg")
        ), name
    assert all(operators.in_space("nn", name) for name in operators.RANDOM_MODULES)


ASSERT = "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported at some other API call"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A device `cuda` that computes as the CPU does and reports an assertion when it is
    synchronised: a GPU's late error.
    """
    monkeypatch.setattr(job, "_device", lambda name: torch.device("cpu"))
    found: list[str] = []
    monkeypatch.setattr(dispatch, "lost", found)

    def report(device: str) -> None:
        assert device == "cuda"
        raise RuntimeError(ASSERT)

    monkeypatch.setattr(torch.accelerator, "synchronize", report)
    kept = (library.function, machine._bound)
    for each in kept:
        each.cache_clear()  # a test may change one of PyTorch's
    yield found
    for each in kept:
        each.cache_clear()


def asked(expression: str, **inputs: Any) -> Callable[[], object]:
    request = from_json(Grad, {"expression": expression, "inputs": inputs, "device": "cuda"})
    return lambda: dispatch.compute(check(request, lambda: ""), lambda step, operands: None)


def test_an_error_that_a_gpu_reports_late_is_the_cpus_with_its_place(
    gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.Tensor.gather
    late = iter([True])

    def gather(x: torch.Tensor, *given: Any) -> torch.Tensor:
        return (
            x if next(late, False) else real(x, *given)
        )  # the GPU's kernel goes on, and reports it later

    monkeypatch.setattr(torch.Tensor, "gather", gather)
    with pytest.raises(GradcliError) as raised:
        asked("x.gather(0, i).sum()", x=[1, 2], i="tensor([5])")()
    assert "index 5 is outside dimension 0" in raised.value.message
    assert "CUDA" not in raised.value.message
    assert raised.value.span is not None
    assert raised.value.span.draw()[1].strip() == "^^^^^^"
    assert gpu == ["cuda"]


def test_an_error_of_the_gpu_alone_says_so(gpu: list[str]) -> None:
    with pytest.raises(
        MathError, match="cuda reported an error, and the CPU computes the same without one"
    ):
        asked("x**2", x=3)()


def test_a_batch_goes_on_with_another_worker_where_a_gpu_is_lost(gpu: list[str]) -> None:
    on = {"command": "grad", "expression": "x**2", "inputs": {"x": 3}}
    jobs = [
        {**on, "id": number, "device": "cuda" if number in (1, 4) else "cpu"} for number in range(6)
    ]
    found = [
        orjson.loads(answer.line) for some in answers(lines_of(jobs), loaded) for answer in some
    ]
    assert [each["id"] for each in found] == list(range(6))
    assert [each.get("gradients", each.get("error", {}).get("kind")) for each in found] == [
        "math" if number in (1, 4) else {"x": 6.0} for number in range(6)
    ]
