"""Makes whole requests from the records that the program itself reads: words of the command line,
and jobs as JSON lines.
"""

import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcli.catalogue.functions import ACTIVATIONS, CATALOGUE, LOSSES
from gradcli.commands import COMMANDS
from gradcli.commands.batch.lines import JOBS
from gradcli.commands.descend.setting import SETTING
from gradcli.options.direction import DIRECTION
from gradcli.options.fields import (
    ACTIVATION,
    FLAG,
    FUNCTION,
    INDEX,
    LOSS,
    NAMES,
    NUMBER,
    TENSOR,
    WHOLE,
    Option,
    ValueKind,
    flag_name,
    options,
)  # fmt: skip
from tools.fuzz import corpus, grammar, mutation, samples
from tools.fuzz.grammar import Chance
from tools.random_formulas import Generator

PATIENCE = 1
"""Seconds that a computation may take (`timeout`), unless its request says otherwise."""
LONG = ("steps", "epochs", "layers", "timeout")
"""Options by which a user may ask for minutes."""


def _whole(chance: Chance) -> str:
    return chance.choice(
        (
            "0",
            "1",
            "2",
            "3",
            "5",
            "10",
            "-1",
            "100",
            "10000001",
            "9223372036854775807",
            "1.5",
            "x",
            "",
            "1_0",
            "9" * 30,
        )
    )


def _number(chance: Chance) -> str:
    return chance.choice(
        (
            "0",
            "0.1",
            "1",
            "1/3",
            "-1",
            "1e-300",
            "1e300",
            "nan",
            "inf",
            "1e400",
            "",
            "x",
            "1,2",
            "tensor(1)",
        )
    )


def _names(chance: Chance) -> str:
    return ",".join(
        chance.choice(("x", "y", "w", "b", "A", "z", "", " x ", "x.y"))
        for _ in range(chance.randrange(1, 4))
    )


def _tensor(chance: Chance) -> str:
    return grammar.right_literal(chance) if chance.random() < 0.8 else grammar.literal(chance)


def _index(chance: Chance) -> str:
    return chance.choice(("0", "1", "-1", "0,1", "[1]", "1,", "", "99", "x", "9" * 25, "0,0,0"))


def _setting(chance: Chance) -> str:
    names = (
        "momentum",
        "nesterov",
        "betas",
        "eps",
        "weight_decay",
        "line_search_fn",
        "max_iter",
        "lr",
        "foreach",
        "params",
        "x",
    )
    values = (
        "0.9",
        "true",
        "none",
        "0.9,0.99",
        "(0.5,)",
        "[]",
        "strong_wolfe",
        "-1",
        "1e400",
        "nan",
        "",
        "{}",
        "10",
        "(((",
        "0,",
    )
    return f"{chance.choice(names)}={chance.choice(values)}"


def _direction(chance: Chance) -> str:
    name = chance.choice(("x", "x", "y", "w", "A", "z", "net.0.weight", "", "1"))
    return f"{name}{chance.choice(('=', '=', '=', '=', '', ' = '))}{_tensor(chance)}"


_TEXTS: Mapping[ValueKind, grammar.Draw] = {
    WHOLE: _whole, NUMBER: _number, NAMES: _names, TENSOR: _tensor, INDEX: _index, SETTING: _setting,
    DIRECTION: _direction,
    ACTIVATION: grammar.function,
    LOSS: grammar.function, FUNCTION: grammar.function,
}  # fmt: skip
_BY_NAME: Mapping[str, grammar.Draw] = {
    "expression": grammar.expression,
    "expect": grammar.expectation,
    "get": grammar.path,
    "out": lambda chance: chance.choice(("out", "r.", "é ", "..", "")) + chance.choice((".json", ".csv", ".npz", ".npy",
    ".svg", ".x", "")),
    "train": lambda chance: chance.choice(("and", "or", "xor", "nand", "nor", "@../data/good.csv", "@../data/good.npy",
    "@../data/none.csv")),
    "each": lambda chance: chance.choice(("x", "y", "z", "x,y", "y,A", "x,,", "")),
    "device": lambda chance: chance.choice(("cpu", "cpu:0", "cpu:1", "cuda", "cuda:7", "mps", "xpu", "tpu", "cpu ", "")),
    "timeout": lambda chance: chance.choice(("0.3", "1", "-1", "nan", "inf", "1e9", "x")),
    "steps": lambda chance: chance.choice(("0", "1", "3", "20", "-1", "1000001", "x")),
    "epochs": lambda chance: chance.choice(("0", "1", "3", "20", "-1", "1000001", "x")),
    "layers": lambda chance: chance.choice(("0", "1", "2", "3", "20", "10001", "x")),
    "width": lambda chance: chance.choice(("0", "1", "2", "16", "-5", "999999999999", "x")),
    "precision": lambda chance: chance.choice(("0", "1", "3", "6", "17", "100", "101", "-1")),
    "file": lambda chance: chance.choice(("-", "../data/jobs.jsonl", "../data/none", "../data", "../data/good.npy", "")),
    "action": lambda chance: chance.choice(("stop", "status", "restart", "")),
    "shell": lambda chance: chance.choice(("bash", "zsh", "fish", "tcsh", "")),
    "words": lambda chance: chance.choice(corpus.messages()[:40]) if chance.random() < 0.5 else grammar.message(chance),
    "name": grammar.function,
}  # fmt: skip
"""How to make a text of a field: by its name, else by its kind."""


def _text(name: str, option: Option, chance: Chance) -> str:
    if option.choices and chance.random() < 0.8:
        return chance.choice(option.choices)
    draw = _BY_NAME.get(name) or _TEXTS.get(option.kind)
    if draw is None:
        return (
            chance.choice((*option.kind.hints, "x"))
            if option.kind.hints
            else grammar.number(chance)
        )
    return draw(chance)


def _inputs(chance: Chance) -> dict[str, str]:
    """Literals for names that expressions use, most of them."""
    usual = {
        "x": "1,-2,3",
        "y": "0.5,2,1",
        "A": "1,2;3,4",
        "t": "tensor([0,2,1])",
        "s": "2",
        "w": "0.5",
        "b": "0",
    }
    return {
        name: usual[name] if chance.random() < 0.5 else _tensor(chance)
        for name in chance.sample(
            [*usual], chance.choices((0, 1, 2, 3, 5, 7), (5, 15, 20, 20, 30, 10))[0]
        )
    }


# --- words --------------------------------------------------------------------------------------


def words(chance: Chance) -> list[str]:
    """The words of one call, right or wrong; each could be handed over by a shell."""
    found = (
        [*chance.choice(corpus.calls()), *_form(chance)]
        if chance.random() < 0.6
        else _words(chance)
    )
    if chance.random() < 0.35:
        found = mutation.words(found, chance, lambda: _any_word(chance))
    if chance.random() < 0.25 and found:
        place = chance.randrange(len(found))
        others = [word for call in corpus.calls()[:50] for word in call] or [""]
        found[place] = mutation.text(found[place], chance, grammar.LITERAL_WORDS, others)
    return [_of_shell(word) for word in found]


def _form(chance: Chance) -> list[str]:
    """One more option of those that say what is shown and how, or none."""
    if chance.random() < 0.3:
        return []
    options = COMMANDS["grad"].output | {
        name: COMMANDS["grad"].options[name] for name in ("dtype", "check", "explain", "expect")
    }
    forms = ("markdown", "latex", "html")
    name = chance.choice([*forms, *options] if chance.random() < 0.5 else forms)
    return [
        flag_name(name),
        *([] if options[name].kind is FLAG else [_text(name, options[name], chance)]),
    ]


def _words(chance: Chance) -> list[str]:
    command = COMMANDS[chance.choice([*COMMANDS])]
    found = [command.name]
    for name, option in command.options.items():
        if option.positional:
            found += _bare(command.name, name, option, chance)
        elif chance.random() < (0.12 if name in command.output else 0.3):
            flag = flag_name(name)
            for _ in range(chance.choice((1, 1, 2)) if option.repeatable else 1):
                text = [] if option.kind is FLAG else [_text(name, option, chance)]
                found += [f"{flag}={text[0]}"] if text and chance.random() < 0.2 else [flag, *text]
    return found


def _bare(command: str, name: str, option: Option, chance: Chance) -> list[str]:
    if name == "inputs":
        return [f"{key}={text}" for key, text in _inputs(chance).items()]
    if command == "plot":
        if chance.random() < 0.5:
            return [grammar.function(chance)]
        return [
            grammar.expression(chance),
            "x=linspace(-2,2,9)",
            *(f"{key}={text}" for key, text in _inputs(chance).items() if key != "x"),
        ]
    if name in ("expression", "logits") and chance.random() < 0.3:
        return []
    return [
        _text(name, option, chance)
        for _ in range(chance.choice((1, 1, 2, 3)) if option.many else 1)
    ]


def _any_word(chance: Chance) -> str:
    return chance.choice(
        (
            lambda: chance.choice([*COMMANDS]),
            lambda: "--" + chance.choice(("json", "csv", "get", "code", "explain", "check", "quiet", "full", "help",
            "version", "jsn", "x", "wrt")),
            lambda: chance.choice(("-", "--", "-h", "-x", "---", "--=", "--x=", "", " ", "@", "@-", "=", "x=",
            "--dtype=float16", "--timeout=1")),
            lambda: grammar.expression(chance),
            lambda: f"{chance.choice('xywAbts')}={_tensor(chance)}",
            lambda: _tensor(chance),
            lambda: grammar.function(chance),
            lambda: grammar.path(chance),
        )
    )()  # fmt: skip


def _of_shell(word: str) -> str:
    """The word as `sys.argv` has it: no NUL, and no surrogate that stands for no byte."""
    word = word.replace("\0", "")
    return os.fsdecode(word.encode("utf-8", "surrogateescape" if _escaped(word) else "replace"))


def _escaped(word: str) -> bool:
    return all("\udc80" <= char <= "\udcff" for char in word if "\ud800" <= char <= "\udfff")


def session_line(chance: Chance) -> str:
    """A line of a session, right or wrong."""
    expression, literal = grammar.expression(chance), grammar.literal(chance)
    found = chance.choice(
        (
            lambda: f"{chance.choice('xywAn')} = {literal}",
            lambda: f"{chance.choice('xywAn')} = {expression}",
            lambda: expression,
            lambda: f"{expression} {' '.join(_form(chance))}",
            lambda: f"{chance.choice((*COMMANDS, 'expect', 'explain', 'graph', 'wrt'))} {expression} x={literal}",
            lambda: " ".join(words(chance)),
        )
    )()  # fmt: skip
    broken = (
        *grammar.EXPRESSION_WORDS,
        "'",
        '"',
        "# ",
        "\\\n",
        "gradcli ",
        "--",
        "derive ",
        "x = ",
    )
    return (
        mutation.text(found, chance, broken, corpus.expressions())
        if chance.random() < 0.4
        else found
    )


# --- jobs ---------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 1e308, -0.0, "", "x", "NaN",
    "-Infinity", "1,2",
    "@x.npy", "-", "\0", "\ud800", "\N{PILE OF POO}", "a" * 300, [], [[]], [1, [2]], [[1, 2], [3]], [None], ["NaN", 1], [True,
    False],
    [True, 1], [1e400], {}, {"x": 1}, {"": 1}, {"x": None}, {"x y": [1]}, {"lambda": 1}, {"x": {"y": 1}}, [{}], [[[[[1.0]]]]],
)  # fmt: skip
"""JSON values that most keys do not want."""


def job(chance: Chance, **more: Any) -> dict[str, Any]:
    """A job, right or wrong."""
    command = chance.choice([*JOBS])
    found: dict[str, Any] = {"command": command}
    for name, option in options(JOBS[command]).items():
        needed = option.default is not None and not isinstance(
            option.default, (str, int, float, tuple)
        )
        if chance.random() < (0.85 if needed or option.positional else 0.12):
            key = name.replace("_", "-") if chance.random() < 0.1 else name
            found[key] = _value(name, option, chance)
    for _ in range(chance.choices(range(3), (70, 22, 8))[0]):
        found[chance.choice([*found, "x", "wrt", "id", "command", "out", "", "\0", "names"])] = (
            chance.choice(ODD)
        )
    if "timeout" not in found:
        found["timeout"] = PATIENCE
    return {**more, **found}


def _value(name: str, option: Option, chance: Chance) -> Any:
    if name == "inputs":
        return {key: _tensor_value(text, chance) for key, text in _inputs(chance).items()}
    if option.many or option.repeatable:
        if option.kind is SETTING:
            return dict(
                pair.split("=", 1)
                for pair in (_setting(chance) for _ in range(chance.randrange(3)))
            )
        return [_text(name, option, chance) for _ in range(chance.choice((0, 1, 1, 2, 3)))]
    text = _text(name, option, chance)
    if option.kind is FLAG:
        return chance.choice((True, True, False, "true"))
    if option.kind is TENSOR:
        return _tensor_value(text, chance)
    if option.kind in (WHOLE, NUMBER) and chance.random() < 0.8:
        try:
            return json.loads(text)
        except ValueError:
            return text
    if option.kind is NAMES:
        return text.split(",")
    if option.kind is INDEX and chance.random() < 0.7:
        return chance.choice((0, 1, -1, [0], [0, 1], [0.5], 10**20))
    return text


def _tensor_value(text: str, chance: Chance) -> Any:
    """A literal as JSON where it is that, else as text."""
    if chance.random() < 0.7:
        try:
            return json.loads(
                text
                if text[:1] == "[" or (text[-1:].isdigit() and "," not in text)
                else f"[{text}]"
            )
        except (ValueError, RecursionError):
            return text
    return text


def line(chance: Chance) -> bytes:
    """A line of a batch, right or wrong: most are JSON, and some no text at all."""
    found = json.dumps(
        job(chance, id=_identity(chance)), ensure_ascii=chance.random() < 0.5
    ).encode("utf-8", "surrogatepass")
    broken = chance.random()
    if broken < 0.3:
        found = mutation.raw(found, chance, OTHERS)
    elif broken < 0.36:
        place = chance.randrange(len(found) + 1)
        found = (
            found[:place]
            + chance.choice(DEEP)(chance.choice((10, 65, 255, 1_024, 5_000)))
            + found[place:]
        )
    return found.replace(b"\n", b" ") or b" "


def _identity(chance: Chance) -> Any:
    return chance.choice(
        (
            None,
            0,
            chance.randrange(10**6),
            "a",
            "\N{PILE OF POO}",
            [1, {"a": None}],
            1.5,
            True,
            -1,
            2**63,
            "x" * 100,
        )
    )


Deep = Callable[[int], bytes]
DEEP: tuple[Deep, ...] = (
    lambda n: b"[" * n + b"1" + b"]" * n,
    lambda n: b"[" * n,
    lambda n: b'{"a":' * n + b"1" + b"}" * n,
    lambda n: b"9" * n,
    lambda n: b'"' + b"\\u00e9" * n + b'"',
    lambda n: b", ".join([b'"x": 1'] * n),
)
OTHERS = (
    b"{}", b"[]", b"null", b"1", b'""', b'{"command": "grad"}', b'{"id": 1, "id": 2, "command": "grad", "fn": "mse", "x": 1}',
    b'{"command": "grad", "expression": "x", "inputs": {"x": 1, "x": 2}}',
    b'{"command": "loss", "names": ["mse"], "pred": [1], "target": [1]}',
    b'// comment', b"NaN", b'{"a": NaN}', b"{'a': 1}", b'{"command": "activate", "names": "relu", "x": [[1, 2], [3, "NaN"]]}',
    b"\x1f\x8b\x08",
)  # fmt: skip


def of_expression(chance: Chance, **more: Any) -> dict[str, Any]:
    """A job on an expression, with any evidence."""
    usual = {
        "x": [1, -2, 3],
        "y": [0.5, 2, 1],
        "A": [[1, 2], [3, 4]],
        "t": "tensor([0,2,1])",
        "s": 2,
    }
    found = {
        **more,
        "command": chance.choices(
            ("grad", "jacobian", "hessian", "descend", "value"), (66, 12, 12, 6, 4)
        )[0],
        "expression": grammar.expression(chance),
        "inputs": usual
        if chance.random() < 0.8
        else usual | {chance.choice("xyAts"): _tensor(chance)},
        "timeout": PATIENCE,
    }
    if found["command"] == "descend":
        found["steps"] = 3
    for key, often, draw in (
        ("dtype", 0.25, lambda: chance.choice(("float64", "float16", "bfloat16"))),
        ("row", 0.1 if found["command"] == "grad" else 0, lambda: chance.choice((0, 1, [0, 1]))),
        ("vjp", 0.1 if found["command"] == "grad" else 0, lambda: "1,1,1"),
        (
            "each",
            0.05 if found["command"] == "grad" else 0,
            lambda: chance.choice(("x", ["x", "y"])),
        ),
        ("shapes", 0.5 if found["command"] == "value" else 0, lambda: True),
        ("explain", 0.1 if found["command"] == "grad" else 0, lambda: True),
        ("check", 0.08 if found["command"] != "descend" else 0, lambda: True),
        ("expect", 0.08, lambda: [grammar.expectation(chance)]),
        ("wrt", 0.1, lambda: chance.sample(["x", "y", "A", "t", "s"], 2)),
    ):
        if chance.random() < often:
            found[key] = draw()
    return found


def of_derive(chance: Chance, **more: Any) -> dict[str, Any]:
    """A job that derives formulas: of a random expression that has them, or of any."""
    block = Generator(f"{chance.random()}").block()
    text, inputs = block.expression, dict(block.inputs)
    if chance.random() < 0.4:
        text, inputs = grammar.right_expression(chance), {"t": "tensor([0,2,1])"}
        for name, usual in zip("xyAs", _USUAL, strict=True):
            inputs[name] = usual if chance.random() < 0.6 else _numbers(chance, _SHAPES[name])
    if chance.random() < 0.2:
        text = mutation.text(text, chance, grammar.EXPRESSION_WORDS, [block.expression])
    elif chance.random() < 0.2:
        text = mutation.number(text, chance)
    if inputs and chance.random() < 0.1:
        inputs[chance.choice([*inputs])] = chance.choice(_ODD)
    flags = {"steps": True} if chance.random() < 0.3 else {}
    return {**more, "command": "derive", "expression": text, "inputs": inputs, "timeout": PATIENCE, **flags}  # fmt: skip


_ODD = ("0", "zeros(0)", "zeros(1)", "inf", "tensor([1,2])", "ones(2,1)")
_SHAPES: Mapping[str, Sequence[int]] = {"x": (3,), "y": (3,), "A": (2, 2), "s": ()}


def right(chance: Chance, **more: Any) -> dict[str, Any]:
    """A job that is most likely right, with any evidence: what comes behind all checks."""
    shape = chance.choice(((), (1,), (3,), (2, 3), (2, 3), (0,), (2, 1, 2)))
    command, given = chance.choice(_RIGHT)(chance, shape)
    flags = {
        name: True
        for name in ("check", "explain")
        if chance.random() < 0.25 and command in _WITH_LEDGER
    }
    dtype = chance.choice(("float32", "float32", "float64", "float16", "bfloat16"))
    wanted = {"expect": [grammar.expectation(chance)]} if chance.random() < 0.1 else {}
    return {
        **more,
        "command": command,
        **given,
        **flags,
        **wanted,
        "dtype": dtype,
        "timeout": 2 * PATIENCE,
    }


def _numbers(chance: Chance, shape: Sequence[int]) -> Any:
    """Nested lists of numbers, many of which mean something to some function."""
    if shape:
        return [_numbers(chance, shape[1:]) for _ in range(shape[0])]
    return chance.choice(
        (
            0,
            1,
            -1,
            0.5,
            2,
            -0.0,
            1e-8,
            100,
            -100,
            1e30,
            "NaN",
            "Infinity",
            round(chance.gauss(0, 2), 3),
            round(chance.random(), 3),
        )
    )


def _functions(chance: Chance, known: Sequence[str]) -> list[str]:
    return [
        grammar.arguments(name, chance) if chance.random() < 0.2 else name
        for name in chance.sample(known, chance.choice((1, 1, 2, 4)))
    ]


def _layer(chance: Chance, shape: Sequence[int]) -> tuple[str, dict[str, Any]]:
    batch, inside, out = (
        chance.choice(((), (2,))),
        (chance.choice((1, 2, 3)),),
        chance.choice(((), (1,), (2,))),
    )
    given = {
        "x": _numbers(chance, batch + inside),
        "w": _numbers(chance, out + inside),
        "target": _numbers(chance, batch + out),
    }
    if chance.random() < 0.3:
        given = {
            "train": chance.choice(("and", "xor")),
            "epochs": 3,
            "lr": chance.choice((0, 1, 1e30)),
        }
    return "perceptron", given | {
        "activation": chance.choice(sorted(ACTIVATIONS)),
        "loss": chance.choice(sorted(LOSSES)),
    }


def _on_expression(chance: Chance, shape: Sequence[int]) -> tuple[str, dict[str, Any]]:
    given = {
        name: _numbers(chance, sides) if chance.random() < 0.4 else usual
        for (name, sides), usual in zip(_SHAPES.items(), _USUAL, strict=True)
    }
    more = {"steps": 3, "optimizer": chance.choice(("sgd", "adam", "lbfgs", "rprop", "adamw"))}
    command = chance.choices(("grad", "jacobian", "hessian", "descend"), (70, 10, 12, 8))[0]
    found = {
        "expression": grammar.right_expression(chance),
        "inputs": given | {"t": "tensor([0,2,1])"},
    }
    return command, found | (more if command == "descend" else {})


_USUAL: tuple[Any, ...] = ([1, -2, 3], [0.5, 2, 1], [[1, 2], [3, 4]], 2)
_WITH_LEDGER = ("grad", "activate", "loss", "perceptron", "softmax-jacobian")
_RIGHT: tuple[Callable[[Chance, Sequence[int]], tuple[str, dict[str, Any]]], ...] = (
    _on_expression,
    _on_expression,
    _on_expression,
    _layer,
    lambda chance, shape: (
        "activate",
        {"names": _functions(chance, sorted(ACTIVATIONS)), "x": _numbers(chance, shape)},
    ),
    lambda chance, shape: (
        "loss",
        {
            "names": _functions(chance, sorted(LOSSES)),
            "pred": _numbers(chance, shape),
            "target": _numbers(
                chance, shape if chance.random() < 0.6 else chance.choice(((), (3,), (2,)))
            ),
            "reduction": chance.choice(("mean", "sum", "none")),
        },
    ),
    lambda chance, shape: (
        "softmax-jacobian",
        {"x": _numbers(chance, shape[:1] or (3,)), "row": chance.choice((None, None, 0, -1))},
    ),
    lambda chance, shape: (
        "grad",
        {
            "fn": chance.choice(sorted(CATALOGUE)),
            **{
                name: _numbers(chance, chance.choice((shape, ())))
                for name in ("x", *chance.sample("wby", 2))
            },
        },
    ),
    lambda chance, shape: (
        "flow",
        {
            "names": chance.sample(sorted(ACTIVATIONS), 1),
            "layers": 3,
            "width": chance.choice((1, 4)),
        },
    ),
)


def of_literal(chance: Chance, **more: Any) -> dict[str, Any]:
    """A job that takes a literal in."""
    text = grammar.literal(chance)
    dtype = chance.choice(("float32", "float32", "float64", "float16", "bfloat16"))
    if chance.random() < 0.3:
        return {
            **more,
            "command": "activate",
            "names": ["relu"],
            "x": text,
            "dtype": dtype,
            "timeout": PATIENCE,
        }
    return {
        **more,
        "command": "grad",
        "expression": "x.sum()",
        "inputs": {"x": text},
        "dtype": dtype,
        "timeout": PATIENCE,
    }


def of_expectation(chance: Chance, **more: Any) -> dict[str, Any]:
    """A job with paths into its result."""
    wanted = [grammar.expectation(chance) for _ in range(chance.choice((1, 1, 2)))]
    return {
        **more,
        "command": "grad",
        "expression": "mse(w*x, 1)",
        "inputs": {"x": [1, 2], "w": 2},
        "expect": wanted,
        "timeout": PATIENCE,
    }


def of_operator(chance: Chance, **more: Any) -> dict[str, Any]:
    """One of PyTorch's own samples of an operator, one number or one input of it changed to
    something hostile.
    """
    while not (found := samples.of(chance.choice(samples.operators()))):
        pass
    text, tensors = chance.choice(found)
    inputs = {name: samples.literal(tensor) for name, tensor in tensors.items()}
    if not inputs or chance.random() < 0.5:
        text = (
            mutation.text(text, chance, grammar.EXPRESSION_WORDS, [text])
            if chance.random() < 0.3
            else mutation.number(text, chance)
        )
    else:
        name = chance.choice([*inputs])
        inputs[name] = samples.literal(
            samples.HOSTILE[chance.choice([*samples.HOSTILE])](tensors[name])
        )
    flags = (
        {"check": True}
        if chance.random() < 0.03
        else {"explain": True}
        if chance.random() < 0.1
        else {}
    )
    return {**more, "command": "grad", "expression": f"({text}).sum()" if chance.random() < 0.8 else text, "inputs": inputs,
            "dtype": "float64", "timeout": PATIENCE, **flags}  # fmt: skip


def written(job: Mapping[str, Any]) -> bytes:
    """A job as a line."""
    return json.dumps(job).encode()


def patient(line: bytes) -> bool:
    """Whether a job asks for more time than it takes to call it hung."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and any(
        name in LONG and found[name] != PATIENCE for name in found
    ) | ("timeout" not in found)


def seeded(seed: int, target: str, block: int) -> random.Random:
    """The generator of one block: what it draws depends on nothing else."""
    return random.Random(f"{seed} {target} {block}")
