"""Modules with parameters in the commands: plot, descend, derive, batch, files, notes, captions."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.program import printed, run

NET = "net = nn.Sequential(nn.Linear(2,4), nn.Tanh(), nn.Linear(4,1))"
LOSS = f"{NET}; mse(net(X), t)"
DATA = "X=0,0;0,1;1,0;1,1", "t=0;1;1;0"


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))


def test_descend_learns_xor_as_a_loop_in_pytorch_does() -> None:
    found = run("descend", LOSS, *DATA, "--wrt", "net", "--optimizer", "adam", "--json").json
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    t = torch.tensor([[0.0], [1], [1], [0]])
    for step in found["steps"]:
        loss = nn.functional.mse_loss(net(x), t)
        assert step["value"] == pytest.approx(loss.item(), rel=1e-6)
        for name, parameter in net.named_parameters():
            own = torch.tensor(step["parameters"][f"net.{name}"])
            torch.testing.assert_close(own, parameter.detach())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert len(found["steps"]) == 101
    assert found["value"] < 1e-4
    assert list(found["parameters"]) == [f"net.{name}" for name, _ in net.named_parameters()]


def test_without_wrt_data_moves_too_and_the_note_offers_the_module() -> None:
    shown = run("descend", LOSS, *DATA, "--steps", "1", "--json").json
    assert [*shown["parameters"]][:2] == ["X", "t"]
    (note,) = [note for note in shown["notes"] if note["code"] == "moving-target"]
    assert note["text"].endswith("--wrt net keeps all other inputs fixed")


def test_the_table_of_descend_shows_many_parameters_at_the_start_and_the_end_alone() -> None:
    words = "descend", LOSS, *DATA, "--wrt", "net", "--steps", "3"
    page = run(*words, env={"COLUMNS": "80"}).stdout
    assert "│ step │    value │\n" in page
    assert "parameter         │ at the start │ after 3 steps" in page
    assert max(map(len, page.split("\n"))) <= 80
    assert len(run(*words, "--csv").stdout.split("\n")[0].split("net.")) == 18
    assert "net.0.bias[3] │" in run(*words, "--full").stdout


def test_a_module_in_wrt_means_its_parameters_in_every_command() -> None:
    words = "mse(nn.Linear(2,1)(x) + b, y)", "x=1,2", "b=1,", "y=1,"
    keys = {"grad": "gradients", "jacobian": "jacobian", "hessian": "hessian", "derive": "formulas"}
    for command, key in keys.items():
        shown = run(command, *words, "--wrt", "linear,b", "--json").json
        assert [*shown[key]] == ["b", "linear.weight", "linear.bias"]
    wrong = run("grad", *words, "--wrt", "liner")
    assert wrong.status == 2
    assert "did you mean linear or linear.bias?" in wrong.stderr


def test_plot_shows_the_network_at_every_point() -> None:
    words = "nn.Sequential(nn.Linear(1,3), nn.Tanh(), nn.Linear(3,1))(x.reshape(1))", "x=-2,2"
    shown = run("plot", *words, "--seed", "4", "--json").json
    torch.manual_seed(4)
    net = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1))
    x = torch.tensor(shown["x"], requires_grad=True)
    y = net(x[:, None])
    torch.testing.assert_close(torch.tensor(shown["curves"][0]["value"]), y.detach()[:, 0])
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(torch.tensor(shown["curves"][0]["derivative"]), slope)
    weights = torch.tensor(shown["inputs"]["sequential.0.weight"])
    torch.testing.assert_close(weights, net.get_parameter("0.weight").detach())


def test_plot_over_two_ranges_and_of_several_functions() -> None:
    words = f"{NET}; net(stack([x, y]))", "x=-1,0,2", "y=0,1"
    shown = run("plot", *words, "net.2.bias=5,", "--wrt", "x,y", "--json").json
    net = network()
    points = torch.cartesian_prod(torch.tensor(shown["x"]["x"]), torch.tensor(shown["x"]["y"]))
    values = net(points) - net.get_parameter("2.bias") + 5
    torch.testing.assert_close(torch.tensor(shown["value"]).reshape(-1, 1), values.detach())
    several = run("plot", "nn.Tanh()(x)", "nn.Linear(1,1)(x.reshape(1))", "sigmoid", "--json").json
    torch.manual_seed(0)
    line = nn.Linear(1, 1)(torch.tensor(several["x"])[:, None])
    torch.testing.assert_close(torch.tensor(several["curves"][1]["value"]), line.detach()[:, 0])


def test_the_steps_of_derive_are_the_layers() -> None:
    words = f"{NET}; mse(net(x), y)", "x=1,2", "y=1,", "--steps"
    shown = run("derive", *words, "--json").json
    assert shown["expression"].endswith(
        "; z1 = net[0](x); a1 = net[1](z1); z2 = net[2](a1); mse(z2, y)"
    )
    assert {row["name"]: row["text"] for row in shown["steps"]} == {
        "dz2": "2*(z2 - y)/len(y)",
        "da1": "net[2].weight.T @ dz2",
        "dz1": "da1*(1 - a1**2)",
    }
    page = run("derive", *words).stdout
    assert "dnet.0.weight = outer(dz1, x)\n" in page
    again = run("derive", shown["expression"], *words[1:], "--json").json
    assert {**again, "expression": ""} == {**shown, "expression": ""}
    assert shown["inputs"] == run("grad", *words[:-1], "--json").json["inputs"]
    torch.testing.assert_close(
        torch.tensor(shown["inputs"]["net.0.weight"]), network().get_parameter("0.weight").detach()
    )


def test_the_steps_of_modules_without_names_and_of_named_results() -> None:
    nested = "mse(nn.Linear(3,1)(relu(nn.Linear(2,3)(x))), y)"
    shown = run("derive", nested, "x=1,2;3,4", "y=1;2", "--steps", "--json").json
    assert shown["inputs"] == run("grad", nested, "x=1,2;3,4", "y=1;2", "--json").json["inputs"]
    assert [row["name"] for row in shown["steps"]] == ["dz2", "dz1"]
    named = run("derive", f"{NET}; z1 = net(x); z1.sum()", "x=1,2", "--steps", "--json").json
    assert "z1_ = net[0](x); a1 = net[1](z1_); z1 = net[2](a1); z1.sum()" in named["expression"]


def test_latex_writes_parameters_as_letters_with_the_place_of_the_layer() -> None:
    shown = run("derive", f"{NET}; mse(net(x), y)", "x=1,2", "y=1,", "--json").json["latex"]
    assert shown["net.2.weight"].startswith(
        "\\begin{aligned}\n\\mathbf{s} &= \\tanh(\\mathbf{W}_{0}"
    )
    assert r"\frac{\partial L}{\partial \mathbf{b}_{2}}" in shown["net.2.bias"]
    beside = run("derive", "mse(nn.Linear(2,1)(W*x), y)", "x=1,2", "y=1,", "W=2", "--json").json
    assert r"\mathbf{W}_{\mathit{linear}}" in beside["latex"]["linear.weight"]
    assert r"\mathbf{b}}" in beside["latex"]["linear.bias"]


def jobs(count: int) -> list[dict[str, Any]]:
    """Jobs of several forms, each form with many numbers."""
    forms = [
        (f"{NET}; mse(net(x), y)", {}),
        (f"{NET}; mse(net(x), y)", {"net.2.bias": None, "net.0.bias": None}),
        ("nn.Linear(2,1)(dropout(nn.Linear(2,2)(x), 0.5)).sum() - y.sum()", {}),
        ("net = nn.Sequential(nn.Linear(2,2), nn.Dropout(0.3)); h = net(x); h.sum()*y", {}),
    ]
    found = []
    for number in range(count):
        expression, more = forms[number % len(forms)]
        draw = random.Random(number)
        inputs = {"x": [draw.uniform(-1, 1), draw.uniform(-1, 1)], "y": [draw.random()]}
        inputs |= {name: [draw.random()] * (1 if "2" in name else 4) for name in more}
        job = {"command": "grad", "expression": expression, "inputs": inputs, "seed": 3}
        found.append(job | ({"wrt": ["net"]} if more else {}))
    return found


def test_a_batch_gives_what_single_calls_give() -> None:
    asked = jobs(40)
    lines = run("batch", stdin="".join(json.dumps(job) + "\n" for job in asked)).stdout.splitlines()
    for number in (0, 1, 2, 3, 36, 37, 38, 39):  # the first of each form, and one of a plan
        job = asked[number]
        given = [f"{name}={values}" for name, values in job["inputs"].items()]
        wrt = ["--wrt", "net"] if "wrt" in job else []
        alone = run("grad", job["expression"], *given, "--seed", "3", *wrt, "--json").json
        assert {**json.loads(lines[number]), "id": 0} == {**alone, "id": 0}


def test_a_batch_reads_files_of_parameters_only_where_files_are_allowed(tmp_path: Path) -> None:
    torch.save(network(7).state_dict(), tmp_path / "net.pt")
    inputs = {"X": [1, 2], "t": [1], "net": "@net.pt"}
    job = json.dumps({"command": "grad", "expression": LOSS, "inputs": inputs})
    refused = run("batch", stdin=job, cwd=str(tmp_path)).json
    assert refused["error"]["kind"] == "usage"
    allowed = run("batch", "--allow-files", stdin=job, cwd=str(tmp_path)).json
    own = torch.tensor(allowed["inputs"]["net.0.weight"])
    torch.testing.assert_close(own, network(7).get_parameter("0.weight").detach())


def test_what_is_made_of_an_expression_ends_with_it() -> None:
    import gc
    import weakref

    from gradcli.evaluate.job import Job
    from gradcli.evaluate.networks import make_inputs
    from gradcli.evaluate.run import run as evaluated
    from gradcli.language.expressions import expression
    from gradcli.language.literals import literal
    from gradcli.language.source import Source
    from gradcli.options.shared import ComputeOptions

    program = expression.parse(Source("nn.Linear(2,1)(x).sum()"), ("x",))
    job = Job(ComputeOptions(), lambda: "", programs=(program,))
    inputs = make_inputs(job, {"x": literal.parse(Source("1,2"))})
    evaluated(job.program, inputs, ["x"], job)
    made: Any = next(step.value for step in job.program.steps if step.kind == "network")
    kept = weakref.ref(made.module)
    del made, job, inputs
    gc.collect()
    assert kept() is None


def test_the_program_loads_a_file_of_parameters(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    torch.save(dict(net.named_parameters()), tmp_path / "few.pt")
    text = "net = nn.Sequential(nn.Linear(2,2), nn.BatchNorm1d(2)); (net(x)**3).sum()"
    for name, strict in (("net", ""), ("few", ", strict=False")):
        words = "grad", text, "x=1,2;3,5", f"net=@{tmp_path / name}.pt", "net.0.bias=1,2"
        program = run(*words, "--code").stdout
        assert f"net.load_state_dict(torch.load('{tmp_path / name}.pt'){strict})" in program
        assert "net[0].bias.copy_(torch.tensor([1.0, 2.0]))" in program
        assert "manual_seed" not in program
        shown = run(*words, "--json").json
        first, *_ = printed(program).split("\n")
        assert float(first.split()[1]) == pytest.approx(shown["value"], rel=1e-6)


def test_arrays_and_csv_have_the_names_of_the_parameters(tmp_path: Path) -> None:
    words = "grad", f"{NET}; mse(net(x), y)", "x=1,2", "y=1,"
    run(*words, "--out", str(tmp_path / "out.npz"))
    shown = run(*words, "--json").json["gradients"]
    with np.load(tmp_path / "out.npz") as arrays:
        for name, slope in shown.items():
            np.testing.assert_allclose(arrays[f"gradients.{name}"], np.array(slope, np.float32))
    lines = run(*words, "--csv").stdout.split("\n")
    weight = shown["net.0.weight"][0][1]
    assert any(
        line.startswith('net.0.weight,"0,1",') and line.endswith(f",{weight}") for line in lines
    )
    for form in ("tree", "dot", "mermaid"):
        assert "net.0.weight" in run(*words, "--graph", form).stdout


def test_notes_name_the_layer_whose_input_they_are_about() -> None:
    text = (
        "net = nn.Sequential(nn.Linear(2,2), nn.ReLU(), nn.Linear(2,2), nn.Sigmoid()); net(x).sum()"
    )
    dead = run("grad", text, "x=1,2", "net.0.bias=-9,-9", "net.2.bias=99,0", "--json").json["notes"]
    texts = {note["code"]: note["text"] for note in dead}
    assert "the largest of net[1]'s input is -" in texts["dead-relu"]
    assert "sigmoid is saturated at net[3]'s input[0] = " in texts["saturated"]
    kink = run("grad", text, "x=0,0", "net.0.bias=0,0", "--json").json["notes"]
    assert "relu has a kink at net[1]'s input[0] = 0" in kink[0]["text"]
    alone = run(
        "grad", "a = nn.Linear(2,2); sigmoid(a(x)).sum()", "x=99,99", "a.bias=99,99", "--json"
    )
    assert "saturated at (a(x))[0]" in alone.json["notes"][0]["text"]


def test_the_caption_counts_the_parameters_and_a_rule_separates_the_inputs() -> None:
    page = run(
        "grad", f"{NET}; mse(net(x), y)", "x=1,2", "y=1,", "net.2.bias=1,", "--seed", "5"
    ).stdout
    caption = "float32, shapes: x [2]  y [1]  result []; net: 17 parameters, 16 of them initialized with seed 5"
    assert caption in page
    lines = page.split("\n")
    y = next(i for i, line in enumerate(lines) if line.startswith("│ y[0]"))
    assert lines[y - 1][0] == lines[y + 1][0] == "├"
