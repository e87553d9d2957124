"""The grammar of expressions: a rule for each kind of syntax, applied without recursion."""

import ast
from collections.abc import Callable
from typing import Any, TypeAlias

from gradcli.catalogue import operators
from gradcli.catalogue.operators import Operator, find_function, function_names
from gradcli.errors import ExpressionError, SizeError
from gradcli.language.expressions.corrections import SYNONYMS, correction, powers, transposed
from gradcli.language.expressions.numpy_names import expand, method
from gradcli.language.expressions.program import Label, Step, StepKind
from gradcli.language.expressions.reader import Reader, is_not_false, starred
from gradcli.language.expressions.refused import KEYWORDS, MODULES
from gradcli.language.limits import EXPRESSION_DEPTH, EXPRESSION_NODES, PLAIN_INTEGER
from gradcli.language.source import Span

Part: TypeAlias = "ast.AST | Step | Label | Callable[[], list[Part]]"
"""A part of a rule's result, in the order of computing: a node still to be read, a step, a label,
or a function to call once all parts before it are valid, so that the first error is reported."""

SYMBOLS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
    ast.USub: "-", ast.UAdd: "+", ast.Invert: "~", ast.Not: "not", ast.And: "and", ast.Or: "or",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


def read(reader: Reader, statement: ast.stmt, *, last: bool) -> list[Step | Label]:
    """One statement as steps and labels; the `last` one leaves its value on the stack.

    Raises ExpressionError for what is not allowed or not known, SizeError beyond the bounds.
    """
    agenda: list[tuple[Part, int, ast.AST]] = [(statement, 0, statement)]
    done: list[Step | Label] = []
    while agenda:
        part, depth, node = agenda.pop()
        if isinstance(part, (Step, Label)):
            if isinstance(part, Step):
                reader.origins.append(node)
            done.append(part)
        elif isinstance(part, ast.AST):
            deeper = depth
            if isinstance(part, ast.expr):
                deeper += 1
                reader.nodes += 1
                if depth > EXPRESSION_DEPTH.value or reader.nodes > EXPRESSION_NODES.value:
                    place = reader.span(part)
                    EXPRESSION_DEPTH.check(depth, "the expression is nested too deep", span=place)
                    EXPRESSION_NODES.check(reader.nodes, "the expression is too long", span=place)
            if (rule := RULES.get(type(part))) is None:
                raise reader.refused_node(part)
            leading = _leading(part)
            for child in reversed(rule(reader, part)):
                agenda.append((child, depth if child is leading else deeper, part))
        else:
            agenda.extend([(child, depth, node) for child in reversed(part())])
    if not last:
        reader.origins.append(statement)
        done.append(reader.step("drop", statement))
    return done


def _leading(node: ast.AST) -> ast.expr | None:
    """The operand that does not nest: a chain of `+` or of methods is one level, however long."""
    if isinstance(node, ast.BinOp):
        return node.left
    if isinstance(node, ast.Call):
        return node.func.value if isinstance(node.func, ast.Attribute) else node.func
    return node.value if isinstance(node, (ast.Attribute, ast.Subscript)) else None


def _assign(reader: Reader, node: ast.Assign) -> list[Part]:
    agenda = [(target, node.value) for target in node.targets]
    for target, value in agenda:
        items = value.elts if isinstance(value, ast.Tuple | ast.List) else None
        if isinstance(target, ast.Tuple | ast.List) and items is not None:
            agenda.extend(zip(target.elts, items, strict=False))
        elif isinstance(target, ast.Name) and _is_module(reader, value):
            reader.modules.add(target)
            for place, item in enumerate([value] if items is None else items):
                title = target.id if items is None else f"{target.id}.{place}"
                reader.titles.setdefault(_before_modes(item), title)
    return [node.value, *node.targets]


def _augmented(reader: Reader, node: ast.AugAssign) -> list[Part]:
    """`n += v` binds n again."""
    symbol = SYMBOLS[type(node.op)]
    if not isinstance(node.target, ast.Name):
        return [node.target]
    place = reader.between(node.target, node.value, symbol)
    load = _load(reader, node.target)
    return [load, node.value, reader.step("operator", place, take=2, name=symbol), node.target]


def _constant(reader: Reader, node: ast.Constant) -> list[Part]:
    value = node.value
    if isinstance(value, bytes):
        raise reader.error("bytes are not supported", node, "write the string without b")
    if isinstance(value, int) and value > PLAIN_INTEGER.value:
        hint = "write a float, such as 1e30"
        raise SizeError("a whole number has at most 64 bits", span=reader.span(node), hint=hint)
    return [reader.step("constant", node, value=value)]


def _name(reader: Reader, node: ast.Name) -> list[Part]:
    if isinstance(node.ctx, ast.Store):
        return _bind(reader, node)
    if node.id in reader.scope:
        return [_load(reader, node)]
    if node in reader.made:
        return [reader.step("load", node, name=node.id)]
    if (step := _fixed(reader, "torch", node.id, node)) is not None:
        return [step]
    if node.id in operators.SPACES:
        raise _bare_namespace(reader, node.id, node, "value")
    if find_function(node.id) and not (reader.free and len(node.id) == 1):
        text = reader.source.text
        whole = powers(text)
        understood = whole != text and reader.reads(whole)
        hint = f"write {whole}" if understood else f"call it: {node.id}(x)"
        raise reader.error(f"{node.id} is a function, not a value", node, hint)
    reader.check_name(node.id, reader.span(node))
    if reader.free and node.id.isascii() and SYNONYMS.get(node.id) not in _NOT_INPUTS:
        reader.scope[node.id] = False
        return [_load(reader, node)]
    known = {*reader.scope, *operators.CONSTANTS, *function_names()}
    raise reader.unknown(node.id, reader.span(node), "name", known)


_NOT_INPUTS = {*operators.RESERVED, "True", "False", "None"}
"""What a name must not be a synonym of to become an input: `none` is None, `tf` is torch."""

_EXAMPLES = {
    "nn": "ReLU()", "F": "relu", "special": "expit", "masked": "sum",
    "linalg": "inv", "np.linalg": "inv", "fft": "fft", "np.fft": "fft",
}  # fmt: skip
"""Something to call in each section of the allow-list that has no `exp`."""


def _bare_namespace(reader: Reader, path: str, node: ast.expr, expected: str) -> ExpressionError:
    """The error of a namespace alone, with an example of a call in it."""
    hint = f"use a function from it: {path}.{_EXAMPLES.get(operators.SPACES[path], 'exp')}(x)"
    return reader.error(f"{path} is a namespace, not a {expected}", node, hint)


def _load(reader: Reader, node: ast.Name) -> Step:
    if node.id not in reader.scope:
        raise reader.unknown(node.id, reader.span(node), "name", reader.scope)
    if node.id not in reader.assigned:
        reader.used[node.id] = None
    return reader.step("load", node, name=node.id)


def _bind(reader: Reader, node: ast.Name) -> list[Part]:
    if node.id in operators.RESERVED:
        message = f"{node.id} is a name of PyTorch, NumPy or Python"
        raise reader.error(message, node, f"call it {node.id}1")
    if node.id.startswith("__"):
        message = "names that begin with __ are reserved by Python"
        raise reader.error(message, node, "choose another name")
    if not node.id.isascii():
        message = "a name may contain only ASCII letters, digits and _"
        raise reader.error(message, node, "choose another name")
    reader.scope[node.id] = node in reader.modules
    reader.assigned[node.id] = None
    return [reader.step("store", node, name=node.id)]


def _fixed(reader: Reader, space: str, name: str, place: Span | ast.AST) -> Step | None:
    """A constant or dtype of a namespace: `math.pi`, `torch.float64`; for bare names, of torch."""
    if name in operators.CONSTANTS and space in ("torch", "np", "numpy", "math"):
        return reader.step("constant", place, value=operators.CONSTANTS[name])
    if space == "math":
        return reader.step("constant", place, value=operators.TAU) if name == "tau" else None
    if isinstance(place, ast.Name) or space in ("np", "numpy"):
        name = operators.PYTHON_TYPES.get(name, name)
    if space in ("torch", "np", "numpy") and operators.in_space("dtypes", name):
        return reader.step("dtype", place, name=name)
    return reader.step("constant", place) if name == "newaxis" else None


def _attribute(reader: Reader, node: ast.Attribute) -> list[Part]:
    if not isinstance(node.ctx, ast.Load):
        hint = "give the result a name: n = ..."
        raise reader.error("a tensor's attribute cannot be set", node, hint)
    if not (dotted := reader.namespace(node)):
        if path := reader.input_path(node):
            reader.used[path] = None
            return [reader.step("load", node, name=path)]
        return [node.value, lambda: [_value_attribute(reader, node)]]
    path, chain = dotted
    if not chain:
        raise _bare_namespace(reader, path, node, "value")
    first, *rest = chain
    if not rest:
        if (step := _fixed(reader, path, first.attr, reader.tail(first))) is not None:
            return [step]
        if operators.in_space(operators.SPACES[path], first.attr):
            whole = f"{path}.{first.attr}"
            if operators.SPACES[path] == "nn":
                hint = f"write {whole}(), with its settings in the brackets"
                raise reader.error(f"{whole} is a class of modules", node, hint)
            raise reader.error(f"{whole} is a function, not a value", node, f"call it: {whole}(x)")
    raise reader.no_such(path, first)


def _value_attribute(reader: Reader, node: ast.Attribute) -> Step:
    """An attribute of a tensor, of several results, or a module's parameter or part."""
    place = reader.tail(node)
    step = reader.step("attribute", place, take=1, name=node.attr)
    if operators.in_space("properties", node.attr) or operators.in_space("fields", node.attr):
        return step
    of_module = _is_module(reader, node.value)
    if of_module and node.attr in MODULES:
        refused = MODULES[node.attr]
        raise reader.error(f"{node.attr} is not allowed: it {refused.why}", place, refused.hint)
    if not (of_module and node.attr in MODES):
        reader.check_name(node.attr, place, twin=True)
        if of_module:
            return step
    if of_module or operators.in_space("Tensor", node.attr):
        hint = f"call it: .{node.attr}()"
        raise reader.error(f"{node.attr} is a method, not a value", place, hint)
    raise reader.unknown(node.attr, place, "attribute", operators.sections()["properties"])


def _function(reader: Reader, node: ast.Call) -> tuple[Operator, Span] | None:
    """The function that a call names, and the place of its name; None for a method or a value.

    Raises ExpressionError if there is no such function.
    """
    if isinstance(node.func, ast.Name):
        name, place = node.func.id, reader.span(node.func)
        if reader.scope.get(name):
            return None
        if function := find_function(name):
            return function, place
        if name in reader.scope:
            return None
        reader.check_name(name, place, twin=True)
        if operators.in_space("nn", name):
            settings = all(isinstance(argument, ast.Constant) for argument in node.args)
            hint = f"write nn.{name}" if settings else reader.replaced(place, f"nn.{name}()")
            raise reader.error(f"{name} is a module", place, hint)
        raise reader.unknown(name, place, "function", {*function_names(), *reader.scope})
    if isinstance(node.func, ast.Attribute) and (dotted := reader.namespace(node.func)):
        path, chain = dotted
        if not chain:
            raise _bare_namespace(reader, path, node.func, "function")
        if len(chain) > 1 and _fixed(reader, path, chain[0].attr, node):
            return None
        function = operators.in_space(operators.SPACES[path], chain[0].attr)
        if function is None or len(chain) > 1:
            raise reader.no_such(path, chain[0])
        return function, reader.tail(chain[0])
    return None


def _is_module(reader: Reader, node: ast.expr) -> bool:
    """Whether the value of `node` is a module of torch.nn, or a sequence of such modules."""
    known = reader.are_modules
    if node not in known:
        known[node] = _makes_module(reader, node)
    return known[node]


def _makes_module(reader: Reader, node: ast.expr) -> bool:
    while True:
        if (known := reader.are_modules.get(node)) is not None:
            return known
        match _before_modes(node):
            case ast.Subscript(value=node) | ast.BinOp(left=node) | ast.Starred(value=node):
                pass
            case ast.Tuple(elts=[*items]) | ast.List(elts=[*items]):
                return bool(items) and all(_is_module(reader, item) for item in items)
            case ast.Call(func=ast.Attribute(value=node, attr=name)) if name in MODULES:
                pass  # the error is that of the name
            case ast.IfExp(body=node, orelse=other):
                if _is_module(reader, other):
                    return True
            case ast.Attribute(value=node, attr=name) if name not in MODES:
                if "weight" in name or "bias" in name:  # as all parameters of PyTorch's are called
                    return False
            case ast.Name(id=name):
                return reader.scope.get(name, False)
            case ast.Call() as call:
                function = _function(reader, call)
                return function is not None and function[0].path.startswith("nn.")
            case _:
                return False


MODES = ("eval", "train")
"""The methods of a module that an expression may call."""


def _before_modes(node: ast.expr) -> ast.expr:
    """What makes a module, without the `.eval()` after it."""
    while True:
        match node:
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in MODES:
                node = inner
            case _:
                return node


def _make_module(reader: Reader, node: ast.Call, step: Step) -> None:
    """Note a step that makes a module, unless it is a part of another module."""
    if node not in reader.inner_modules:
        reader.made_modules[node] = step
        reader.inner_modules.update(part for part in ast.walk(node) if isinstance(part, ast.Call))


def _check_parts(reader: Reader, node: ast.Call) -> None:
    """Raise the error of a function in the place of a module: `nn.Sequential(..., tanh)`."""
    for part in node.args:
        dotted = reader.namespace(part)
        name = dotted[1][0].attr if dotted and dotted[1] else getattr(part, "id", "")
        for module in operators.sections()["nn"]:
            if name not in reader.scope and module.lower() == name.replace("_", ""):
                message = f"{name} is a function, and the parts of a module are modules"
                raise reader.error(message, part, f"write nn.{module}()")


def _call(reader: Reader, node: ast.Call) -> list[Part]:
    for keyword in node.keywords:
        reader.check_keyword(keyword)
    args, names = node.args, tuple(keyword.arg or "" for keyword in node.keywords)
    if starred(args):
        args, names = [ast.copy_location(ast.Tuple(args, ast.Load()), node)], ("*", *names)
    arguments: list[Part] = [*args, *(keyword.value for keyword in node.keywords)]
    if function := _function(reader, node):
        return _function_call(reader, node, *function, arguments, names)
    func = node.func
    if _is_module(reader, func):
        return [func, *arguments, reader.call("apply", node, func, arguments, names)]
    if isinstance(func, ast.Attribute):
        place = reader.tail(func)
        if _is_module(reader, node):
            path = f"Module.{func.attr}"
            step = reader.call("method", node, place, arguments, names, name=path)
            return [func.value, *arguments, step]
        if meaning := method(reader, node, place):
            return [*meaning]
        return [func.value, lambda: _method(reader, node, arguments, names)]
    raise _not_called(reader, func) if type(func) in RULES else reader.refused_node(func)


def _function_call(
    reader: Reader, node: ast.Call, operator: Operator, place: Span, arguments: list[Part],
    names: tuple[str, ...]
) -> list[Part]:  # fmt: skip
    """The call of a function, or of a class of modules, whose name is at `place`."""
    path, is_module = operator.path, operator.path.startswith("nn.")
    if path.rpartition(".")[0] in operators.SPELT and operator not in operators.WHOLE.values():
        return [*expand(reader, path, node, place)]
    after = [] if operator.positions is None else node.args[operator.positions :]
    if any(map(is_not_false, after)):
        if is_module and not isinstance(after[0], ast.Constant):
            hint = reader.replaced(place, f"{place.text}()")
            message = "the first brackets of a module contain its settings"
            raise reader.error(message, place, hint)
        raise reader.error(f"inplace {KEYWORDS['inplace']}", after[0], "leave the argument out")
    names += _last_dimension(reader, path, node, arguments, first=not is_module)
    python = reader.pythons.get(node)
    if isinstance(node.func, ast.Name) and node.func.id in operators.TWINS:
        python = node.func.id
    step = reader.call("call", node, place, arguments, names, name=path, value=python)
    if is_module:
        _check_parts(reader, node)
        _make_module(reader, node, step)
    return [*arguments, step]


def _not_called(reader: Reader, func: ast.expr) -> ExpressionError:
    """The error of a value that is called, most often one that is meant to be multiplied."""
    bracket = reader.source.text.find("(", reader.span(func).stop)
    text = reader.span(func).text[:40]
    message, whole = correction(reader.source.text, reader.reads)
    hint = f"write {whole}" if whole else message
    if not hint and text.isidentifier() and text[0].isupper():
        hint = f"write {text}*(...), or of matrices {text} @ (...)"
    hint = hint or reader.replaced(reader.source.span(bracket, bracket + 1), "*(")
    if f"{text}." in reader.scope:  # a module of another expression
        hint = f"name its result there, as in h = {text}(x), and write h"
    return reader.error(f"{text} is a value, not a function", func, hint)


def _method(
    reader: Reader, node: ast.Call, arguments: list[Part], names: tuple[str, ...]
) -> list[Part]:
    """The call of a tensor's method, after the tensor itself."""
    assert isinstance(node.func, ast.Attribute)
    name, place = node.func.attr, reader.tail(node.func)
    if not operators.in_space("Tensor", name):
        reader.check_name(name, place, twin=True)
        raise reader.unknown(name, place, "method", operators.sections()["Tensor"])
    path = f"Tensor.{name}"
    names += _last_dimension(reader, path, node, arguments, first=False)
    return [*arguments, reader.call("method", node, place, arguments, names, name=path)]


def _last_dimension(
    reader: Reader, path: str, node: ast.Call, arguments: list[Part], *, first: bool
) -> tuple[str, ...]:
    """Add `dim=-1` and a note to a softmax without a dimension; `first`: its input comes first."""
    given = any(keyword.arg in ("dim", "axis") for keyword in node.keywords)
    if path not in operators.LAST_DIMENSION or given or len(node.args) > first:
        return ()
    name = path.split(".")[1]
    reader.notes["softmax-dim", f"{name} without a dimension uses the last one, dim=-1"] = None
    arguments.append(reader.step("constant", node, value=-1))
    return ("dim",)


def _binary(reader: Reader, node: ast.BinOp) -> list[Part]:
    symbol = SYMBOLS[type(node.op)]
    place = reader.between(node.left, node.right, symbol)
    text = reader.source.text
    if symbol == "^" and "T" not in reader.scope and transposed(text) != text:
        whole = powers(transposed(text))
        hint = f"write {whole if reader.reads(whole) else 'A.T, as in A.T @ x'}"
        raise reader.error("a transposed matrix is written A.T", place, hint)
    if symbol == "^" and (_is_number(node.left) or _is_number(node.right)):
        whole = powers(text)
        hint = f"write {whole if reader.reads(whole) else '**, as in x**2'}"
        raise reader.error("^ is not a power", place, hint)
    return [node.left, node.right, reader.step("operator", place, take=2, name=symbol)]


def _is_number(node: ast.expr) -> bool:
    """Whether the text shows that `node` is a number, so that `^` beside it means a power."""
    match node:
        case ast.Constant():
            return not isinstance(node.value, bool)
        case ast.Name(id="e") | ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            return True
        case ast.BinOp(op=op):
            return not isinstance(op, ast.BitAnd | ast.BitOr | ast.BitXor)
    return False


def _unary(reader: Reader, node: ast.UnaryOp) -> list[Part]:
    symbol = SYMBOLS[type(node.op)]
    start = reader.span(node).start
    place = reader.source.span(start, start + len(symbol))
    return [node.operand, reader.step("operator", place, take=1, name=symbol)]


def _boolean(reader: Reader, node: ast.BoolOp) -> list[Part]:
    symbol = SYMBOLS[type(node.op)]
    place = reader.between(node.values[0], node.values[1], symbol)
    return [*node.values, reader.step("operator", place, take=len(node.values), name=symbol)]


def _compare(reader: Reader, node: ast.Compare) -> list[Part]:
    if any(isinstance(op, ast.In | ast.NotIn | ast.Is | ast.IsNot) for op in node.ops):
        hint = "write == or !=, isin(x, y) for 'in'"
        raise reader.error("'in' and 'is' do not compare numbers", node, hint)
    symbols = tuple([SYMBOLS[type(op)] for op in node.ops])
    place = reader.between(node.left, node.comparators[0], symbols[0])
    take, name = len(symbols) + 1, " ".join(symbols)
    step = reader.step("compare", place, take=take, name=name, value=symbols)
    return [node.left, *node.comparators, step]


def _conditional(reader: Reader, node: ast.IfExp) -> list[Part]:
    other, end = Label(), Label()
    branch = reader.step("branch", node.test, take=1, value=other)
    jump = reader.step("jump", node, value=end)
    return [node.test, branch, node.body, jump, other, node.orelse, end]


def _subscript(reader: Reader, node: ast.Subscript) -> list[Part]:
    if not isinstance(node.ctx, ast.Load):
        hint = "build the tensor instead: where(...), stack([...]) or cat([...])"
        raise reader.error("elements cannot be set", node, hint)
    return [node.value, node.slice, reader.step("index", node.slice, take=2)]


def _slice(reader: Reader, node: ast.Slice) -> list[Part]:
    none = reader.step("constant", node)
    bounds = [node.lower or none, node.upper or none, node.step or none]
    return [*bounds, reader.step("slice", node, take=3)]


def _sequence(reader: Reader, node: ast.Tuple | ast.List) -> list[Part]:
    if isinstance(node.ctx, ast.Load):
        kind: StepKind = "tuple" if isinstance(node, ast.Tuple) else "list"
        items = [item.value if isinstance(item, ast.Starred) else item for item in node.elts]
        return [*items, reader.step(kind, node, take=len(items), value=starred(node.elts))]
    unbind = reader.step("unbind", node, take=1, value=len(node.elts))
    bound = [part for target in node.elts for part in (target, reader.step("drop", target))]
    return [reader.step("copy", node), unbind, reader.step("unpack", node), *bound]


Rule: TypeAlias = Callable[[Reader, Any], list[Part]]

RULES: dict[type[ast.AST], Rule] = {
    ast.Expr: lambda reader, node: [node.value], ast.Assign: _assign, ast.AugAssign: _augmented,
    ast.Constant: _constant, ast.Name: _name, ast.Attribute: _attribute, ast.Subscript: _subscript, ast.Slice: _slice,
    ast.Call: _call, ast.BinOp: _binary, ast.UnaryOp: _unary, ast.BoolOp: _boolean, ast.Compare: _compare,
    ast.IfExp: _conditional, ast.Tuple: _sequence, ast.List: _sequence,
}  # fmt: skip
"""Every kind of syntax that is allowed; what is not here is refused."""
