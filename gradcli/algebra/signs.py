"""What is known of the sign of a node, whatever the values of its tensors."""

from gradcli.algebra.nodes import Node, state, whole


def is_negative(by: Node) -> bool:
    """Whether a node is a negative number."""
    return by.kind == "num" and bool(by.data < 0)


def is_even(by: Node) -> bool:
    """Whether a node is an even number."""
    value = whole(by)
    return value is not None and value % 2 == 0


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
        case "sigma":
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
