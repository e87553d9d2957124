"""Random numbers are the CPU's on every device; the meta device, which every machine has, stands for another one."""

import pytest
import torch

from gradcli.code.formulas import Formula
from gradcli.code.literals import tensor_code
from gradcli.compute.tensors import TensorMaker
from gradcli.evaluate.machine import evaluate
from gradcli.tables import operators
from gradcli.text.expression import parse
from gradcli.text.literal import parse as read
from gradcli.text.source import Source
from tests.program import printed

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
    written = Formula(text, {"x": torch.tensor([0.25, 0.5, 0.75])}, "meta").value
    assert written.replace("'", '"') == DRAWN[text]
    torch.default_generator.manual_seed(3)
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
    assert printed(f"{head}x = torch.ones(3)/2\nprint(({written}).device)") == "meta\n"


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
        assert printed(f"import torch\nx = {code}\nprint(x.device, x.requires_grad)") == f"{device} True\n"
        assert torch.equal(torch.get_rng_state(), states[-1])
    assert torch.equal(*states)


def test_the_names_that_draw_are_names_of_the_allow_list() -> None:
    for name in operators.RANDOM:
        assert any(operators.in_space(space, name) for space in ("torch", "F", "Tensor", "linalg")), name
    assert all(operators.in_space("nn", name) for name in operators.RANDOM_MODULES)
