"""What is known of the sign of a node, whatever the values of its tensors."""

from gradcli.algebra.nodes import ONE, Node, state, whole


def is_negative(by: Node) -> bool:
    """Whether a node is a negative number."""
    return by.kind == "num" and bool(by.data < 0)


def is_even(by: Node) -> bool:
    """Whether a node is an even number."""
    value = whole(by)
    return value is not None and value % 2 == 0


def picks(node: Node) -> Node | None:
    """The one-hot factor of a product; None if it has none."""
    if node.kind != "mul" or node.data[0] != 1:
        return None
    hots = (base for base, by in node.data[1].items() if by is ONE and base.is_call("one_hot"))
    return next(hots, None)


def is_positive(node: Node) -> bool:
    """Whether a node is known to be positive."""
    known = state().positive
    if node not in known:
        known[node] = _is_positive(node)
    return known[node]


def _is_positive(node: Node) -> bool:
    match node.kind:
        case "num":
            return bool(node.data > 0)
        case "size":
            return True
        case "sym":
            _, value = state().steps.get(node.data[0], ((), node))
            return value is not node and is_positive(value)
        case "sigma":
            (index, _), *more = node.data[0]
            hot = picks(node.data[1])
            if hot is not None and not more and hot.data[2] == (index,):
                return all(is_positive(base) for base in node.data[1].data[1] if base is not hot)
            return is_positive(node.data[1])
        case "add":
            constant, found = node.data
            known = is_not_negative if constant > 0 else is_positive
            return constant >= 0 and all(each > 0 and known(term) for term, each in found.items())
        case "mul":
            return node.data[0] > 0 and all(map(is_positive, node.data[1]))
    return node.is_fn("exp", "sigmoid", "cosh", "pi") or node.is_call("softmax")


def is_not_negative(node: Node) -> bool:
    """Whether a node is known to be positive or 0."""
    if is_positive(node):
        return True
    match node.kind:
        case "mul":
            coefficient, found = node.data
            return coefficient > 0 and all(
                is_even(by) or is_not_negative(base) for base, by in found.items()
            )
        case "sigma":
            return is_not_negative(node.data[1])
        case "add":  # len(x) - 1
            constant, found = node.data
            return constant >= -1 and all(t.kind == "size" and c > 0 for t, c in found.items())
    return node.is_fn("abs", "relu", "softplus")
