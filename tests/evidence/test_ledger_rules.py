"""The ledger's rules: each that is a formula is computed by itself and compared with what autograd
passed on.
"""

import re
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from gradcli.results import LedgerRow
from tests.choice import first_usual, in_rows
from tests.evidence.test_ledger import explain

pytestmark = pytest.mark.usefixtures("double")


def inputs(**shapes: Any) -> dict[str, Tensor]:
    """Random numbers of these shapes; what is a tensor stays."""
    generator = torch.Generator().manual_seed(3)
    return {
        name: shape
        if isinstance(shape, Tensor)
        else torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def rows(text: str, given: dict[str, Tensor], first: str, by: tuple[str, ...]) -> list[LedgerRow]:
    """The rows of the first operation whose name is `first`, with an upstream gradient that is not
    all ones.
    """
    ledger = explain(f"h = {text}; (h*sin(h)).sum() + h.sum()", by=by, **given)
    return [row for row in ledger if row.operation.startswith(f"{first} -> ")]


def computed(rule: str, names: dict[str, Any]) -> Tensor:
    """A rule such as `(g - s)/r, with g = .., s = ..` as PyTorch computes it."""
    whole, _, given = rule.partition(", with ")
    known = {**vars(torch), **names}
    parts = [part.partition(" = ") for part in re.split(r", (?=\w+ = )", given) if " = " in part]
    for name, _, text in reversed(parts):
        known[name] = eval(re.split(r", (?![^(]*\))", text)[0], known)
    return eval(whole.partition(", summed")[0], known)  # type: ignore[no-any-return]


def over(*dims: int, **more: Any) -> dict[str, Any]:
    """`mean` and `var` over the dimensions that an operation normalizes."""
    return {
        "mean": lambda x: x.mean(dims, keepdim=True),
        "var": lambda x: x.var(dims, correction=0, keepdim=True),
        "sum": lambda x: x.sum(dims, keepdim=True),
        "norm": lambda x, p=2: x.norm(p, dims, keepdim=True),
        "softmax": lambda x: torch.softmax(x, dims[0]),
        "eps": 1e-5,
        **more,
    }


CONV = {name: getattr(F, name) for name in dir(F) if name.startswith("conv")}
V = {"v": (2, 3, 4), "a": (4,), "c": (4,)}
P = {"q": (2, 3, 4), "k": (2, 5, 4), "u": (2, 5, 6)}
W = {"x": (2, 3, 4), "w": (3,), "b": (3,)}

CASES: list[tuple[str, str, dict[str, Any], dict[str, str], dict[str, Any]]] = [
    ("linear", "F.linear(x, w, b)", {"x": (3, 4), "w": (2, 4), "b": (2,)}, {"input": "x", "weight": "w", "bias": ""}, {}),
    ("linear", "F.linear(x, w, bias=b)", {"x": (3, 4), "w": (2, 4), "b": (2,)}, {"input": "x", "weight": "w", "bias": ""}, {}),
    ("bilinear", "F.bilinear(x, y, w, b)", {"x": (3, 4), "y": (3, 5), "w": (2, 4, 5), "b": (2,)},
     {"input1": "x", "input2": "y", "weight": "w", "bias": ""}, {"einsum": torch.einsum}),
    ("conv1d", "F.conv1d(x, w, b)", {"x": (2, 3, 7), "w": (4, 3, 3), "b": (4,)}, {"input": "x", "weight": "w", "bias": ""},
     CONV),
    ("conv2d", "F.conv2d(x, w)", {"x": (2, 3, 6, 7), "w": (4, 3, 3, 2)}, {"input": "x", "weight": "w"}, CONV),
    ("conv3d", "F.conv3d(x, w)", {"x": (1, 2, 4, 4, 3), "w": (3, 2, 2, 2, 2)}, {"input": "x", "weight": "w"}, CONV),
    ("conv_transpose1d", "F.conv_transpose1d(x, w)", {"x": (2, 3, 5), "w": (3, 4, 2)}, {"input": "x", "weight": "w"}, CONV),
    ("conv_transpose2d", "F.conv_transpose2d(x, w)", {"x": (1, 3, 4, 5), "w": (3, 2, 2, 2)}, {"input": "x", "weight": "w"},
     CONV),
    ("layer_norm", "F.layer_norm(v, [4], a, c)", V, {"input": "v", "weight": "", "bias": ""}, over(-1)),
    ("layer_norm", "F.layer_norm(v, [3, 4])", V, {"input": "v"}, over(-2, -1)),
    ("layer_norm", "F.layer_norm(v, [4], weight=a)", V, {"input": "v", "weight": ""}, over(-1)),
    ("batch_norm", "F.batch_norm(x, None, None, w, b, training=True)", W, {"input": "x", "weight": "", "bias": ""}, over(0, 2)),
    ("batch_norm", "F.batch_norm(x, m, r, w, b)", {**W, "m": (3,), "r": torch.arange(1.0, 4).double()},
     {"input": "x"}, over(0)),
    ("instance_norm", "F.instance_norm(x)", W, {"input": "x"}, over(2)),
    ("local_response_norm", "F.local_response_norm(x, 3, 0.5, 0.75, 2.0)", {"x": (2, 4, 5)}, {"input": "x"},
     {"size": 3, "alpha": 0.5, "beta": 0.75, "k": 2.0, "sum": lambda x: 3*F.avg_pool1d(x.mT, 3, 1, 1).mT}),
    ("rms_norm", "F.rms_norm(v, [4], a)", V, {"input": "v", "weight": ""}, over(-1, eps=torch.finfo(torch.float64).eps)),
    ("normalize", "F.normalize(v, dim=-1)", V, {"input": "v"}, over(-1)),
    ("normalize", "F.normalize(v, 3.0, -1)", V, {"input": "v"}, over(-1)),
    ("scaled_dot_product_attention", "F.scaled_dot_product_attention(q, k, u)", P, {"query": "q", "key": "k", "value": "u"},
     over(-1, scale=0.5, mask=0)),
    ("scaled_dot_product_attention", "F.scaled_dot_product_attention(q, k, u, attn_mask=m, scale=2.0)", {**P, "m": (2, 3, 5)},
     {"query": "q", "key": "k", "value": "u", "attn_mask": "m"}, over(-1, scale=2.0, mask="m")),
    ("cosine_similarity", "F.cosine_similarity(x, y, dim=0)", {"x": (5,), "y": (5,)}, {"x1": "x", "x2": "y"}, over(0)),
    ("pairwise_distance", "F.pairwise_distance(x, y)", {"x": (1, 5), "y": (1, 5)}, {"x1": "x", "x2": "y"},
     {"p": 2, "eps": 1e-6}),
    ("outer", "torch.outer(x, y)", {"x": (3,), "y": (4,)}, {"input": "x", "vec2": "y"}, {}),
    ("inner", "torch.inner(x, y)", {"x": (3, 2), "y": (4, 2)}, {"input": "x", "other": "y"}, {}),
    ("cross", "torch.linalg.cross(x, y)", {"x": (3,), "y": (3,)}, {"input": "x", "other": "y"}, {"cross": torch.linalg.cross}),
    ("addmm", "torch.addmm(x, y, w, beta=2, alpha=3)", {"x": (3, 4), "y": (3, 2), "w": (2, 4)},
     {"input": "x", "mat1": "y", "mat2": "w"}, {"alpha": 3, "beta": 2}),
    ("addbmm", "torch.addbmm(x, y, w, beta=2, alpha=3)", {"x": (3, 4), "y": (5, 3, 2), "w": (5, 2, 4)},
     {"input": "x", "batch1": "y", "batch2": "w"}, {"alpha": 3, "beta": 2}),
    ("addmv", "torch.addmv(x, y, w)", {"x": (3,), "y": (3, 2), "w": (2,)}, {"input": "x", "mat": "y", "vec": "w"},
     {"alpha": 1, "beta": 1}),
    ("addr", "torch.addr(x, y, w)", {"x": (3, 2), "y": (3,), "w": (2,)}, {"input": "x", "vec1": "y", "vec2": "w"},
     {"alpha": 1, "beta": 1}),
    ("einsum", "torch.einsum('bij,bjk->bik', x, y)", {"x": (2, 3, 4), "y": (2, 4, 5)}, {"x": "x", "y": "y"},
     {"einsum": torch.einsum}),
    ("einsum", "torch.einsum('i,i,ij->j', x, y, w)", {"x": (3,), "y": (3,), "w": (3, 4)}, {"x": "x", "y": "y", "w": "w"},
     {"einsum": torch.einsum}),
    ("@", "x @ y", {"x": (2, 3), "y": (3, 4)}, {"x": "x", "y": "y"}, {}),
    ("inv", "torch.linalg.inv(x)", {"x": (3, 3)}, {"x": "x"}, {}),
    ("solve", "torch.linalg.solve(x, y)", {"x": (3, 3), "y": (3, 2)}, {"A": "x", "B": "y"}, {"solve": torch.linalg.solve}),
    ("det", "torch.linalg.det(x)", {"x": (3, 3)}, {"operand": "x"}, {"inv": torch.linalg.inv}),
    ("slogdet", "torch.linalg.slogdet(x)[1]", {"x": (3, 3)}, {"operand": "x"}, {"inv": torch.linalg.inv}),
    ("var", "v.var(-1, keepdim=True)", V, {"operand": "v"}, over(-1, n=4)),
    ("var", "v.var(0, keepdim=False)", V, {"operand": "v"}, over(0, n=2)),
    ("std", "v.std(0, True, False)", V, {"operand": "v"}, over(0, n=2)),
    ("var", "v.var(-1, False, keepdim=True)", V, {"operand": "v"}, over(-1, n=4)),
    ("std", "v.std(-1, correction=2, keepdim=True)", V, {"operand": "v"}, over(-1, n=4)),
    ("norm", "v.norm(dim=-1, keepdim=True)", V, {"operand": "v"}, {}),
    ("norm", "torch.linalg.vector_norm(v, 3, dim=-1, keepdim=True)", V, {"operand": "v"}, {}),
    ("norm", "torch.linalg.norm(v, 1, -1, keepdim=True)", V, {"operand": "v"}, {}),
    ("matrix_norm", "torch.linalg.matrix_norm(v, keepdim=True)", V, {"operand": "v"}, {}),
    ("logsumexp", "torch.logsumexp(v, -1, keepdim=True)", V, {"operand": "v"}, over(-1)),
    ("softmax", "softmax(v, -1)", V, {"p": "h"}, over(-1)),
    ("log_softmax", "F.log_softmax(v, -1)", V, {"operand": "v"}, over(-1)),
    ("softmin", "F.softmin(v, -1)", V, {"p": "h"}, over(-1)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "text", "shapes", "roles", "names"), CASES, ids=[case[1] for case in CASES]
)
def test_a_rule_that_is_a_formula_gives_the_product(
    first: str, text: str, shapes: dict[str, Any], roles: dict[str, str], names: dict[str, Any]
) -> None:
    given = inputs(
        **{name: shape for name, shape in shapes.items() if re.search(rf"\b{name}\b(?!=)", text)}
    )
    found = rows(
        text,
        given,
        "vector_norm" if "vector_norm" in text else first,
        tuple(given.keys() - {"r"} - ({"m"} if "r" in given else set())),
    )
    assert found
    tested = 0
    for row in found:
        operand = row.operation.partition(" -> ")[2]
        role = next((role for role, name in roles.items() if name == operand), "")
        rule = re.sub(r"^dL/d\w+ = ", "", re.sub(r": \[.*", "", row.rule or "")).replace(
            "^T", ".mT"
        )
        assert row.product is not None
        assert row.upstream is not None
        assert "vjp of" not in rule
        if not (role or "p" in roles or "operand" in roles) or re.match(
            "each weight|d |[^*+(]*, |.*where", rule
        ):
            continue  # told in words
        assert row.value is not None
        known = {role: given[name] for role, name in roles.items() if name in given}
        by_channel = (
            {"weight": given["w"][:, None], "bias": given["b"][:, None]}
            if first == "batch_norm"
            else {}
        )
        if first in ("layer_norm", "rms_norm") and "a" in given:
            by_channel = {"weight": given["a"]}
        if "r" in given:
            by_channel["running_var"] = given["r"][:, None]
        known = {
            **given,
            **known,
            **names,
            "result": row.value,
            "p": row.value,
            "upstream": row.upstream,
            **by_channel,
        }
        known |= {name: given[value] for name, value in names.items() if isinstance(value, str)}
        known |= {"p": names["p"]} if "p" in names else {}
        mine = computed(rule, known)
        torch.testing.assert_close(
            mine.sum_to_size(row.product.shape), row.product, rtol=1e-8, atol=1e-10
        )
        tested += 1
    assert tested


A_FIRST_COURSE = [
    "x.sum(0)", "x.mean(1)", "x.var(0)", "x.std(1)", "x.prod(0)", "x.cumsum(0)", "x.cumprod(1)", "x.logsumexp(0)",
    "x.max(0).values", "x.min(1)[0]", "x.amax(0)", "x.median(0).values", "torch.logcumsumexp(x, 0)", "softmax(x, 0)",
    "F.log_softmax(x, 0)", "x.norm(dim=0)", "x.norm()", "x.norm(1)", "x.norm(p=inf, dim=0)", "F.layer_norm(x, [3])",
    "F.batch_norm(x, None, None, training=True)", "F.group_norm(x[None], 3)", "F.instance_norm(x[None])",
    "F.rms_norm(x, [3])", "F.normalize(x)", "F.conv1d(x[None], x[:, :, None])", "F.conv_transpose1d(x[None], x[:, :, None])",
    "F.conv2d(x[None, None], x[None, None])", "F.max_pool1d(x[None], 2)", "nn.MaxPool2d(2)(x[None, None])",
    "F.avg_pool2d(x[None, None], 2)", "nn.AvgPool1d(2)(x[None])", "F.adaptive_avg_pool1d(x[None], 2)", "F.embedding(i, x)",
    "F.linear(x, x, x[0])", "F.bilinear(x, x, x[None])", "F.scaled_dot_product_attention(x, x, x)", "x[1]", "x[i]",
    "x[x > 0.5]", "x.gather(1, j)", "torch.cat([x, x])", "torch.stack([x, x])", "x.reshape(9)", "x.permute(1, 0)", "x.T",
    "F.pad(x, (1, 1))", "F.pad(x[None], (1, 1), mode='reflect')", "nn.ZeroPad2d(1)(x[None])",
    "torch.einsum('ij,jk->ik', x, x)", "torch.einsum('ii->i', x)", "where(x > 0, x, 2*x)", "x.clamp(0, 1)",
    "F.cosine_similarity(x, 2*x)", "F.interpolate(x[None], scale_factor=2)", "nn.Upsample(scale_factor=2)(x[None])",
    "F.dropout(x, 0.5, False)", "F.dropout(x, 0.5)", "nn.Dropout(0.5)(x)", "cross_entropy(x, i)",
    "F.cross_entropy(x, i, reduction='none')", "F.nll_loss(x, i, reduction='none')", "F.mse_loss(x, 2*x, reduction='none')",
    "F.kl_div(x, 2*x, reduction='batchmean')", "F.triplet_margin_loss(x, x.T, x + 1)", "F.gaussian_nll_loss(x, 2*x, x**2)",
    "F.margin_ranking_loss(x, x.T, sign(x), reduction='none')", "F.triplet_margin_loss(x, x.T, x + 1, p=1, reduction='sum')",
    "F.embedding(i, x, scale_grad_by_freq=True)", "torch.aminmax(x, dim=0)[1]",
    "F.margin_ranking_loss(x, x.T, sign(x))", "torch.outer(x[0], x[1])", "torch.kron(x, x)", "torch.inner(x, x)",
    "torch.linalg.det(x + 2*torch.eye(3))", "torch.linalg.inv(x + 2*torch.eye(3))", "torch.trace(x)",
    "x.scatter_add(1, j, x[:, :2])", "x.index_add(0, i, x)", "x.masked_fill(x > 0, 1)", "x.tril()", "x.diagonal()",
    "F.glu(torch.cat([x, x], 1))", "torch.cross(x, x.T, 1)", "torch.cdist(x, x.T)", "F.pairwise_distance(x, x.T)", "x.diff()",
    "x.sort(0).values", "x.topk(2)[0]", "x.repeat(2, 1)", "x.expand(2, 3, 3)", "F.unfold(x[None, None], 2)",
    "x.quantile(0.5, 0)", "gelu(x)", "F.prelu(x, x[0])", "x.lerp(2*x, 0.5)", "torch.addcmul(x, x, x)", "torch.special.i0(x)",
    "x.nansum(0)", "F.pixel_shuffle(x.expand(1, 4, 3, 3), 2)", "nn.MultiheadAttention(3, 1)(x, x, x)[0]",
    "nn.MultiheadAttention(3, 3, kdim=2, vdim=2)(x, x[:, :2], x[:, :2])[1]",
    "F.multi_head_attention_forward(x, x, x, 3, 1, x.repeat(3, 1), x.ravel(), None, None, False, 0.0, x, x[0])[0]",
    "nn.TransformerEncoderLayer(3, 1, 4)(x)", "nn.Transformer(3, 1, 1, 1, 4)(x, x)", "nn.LSTM(3, 2)(x)[0]",
    "nn.RNN(3, 2)(x)[1]", "nn.GRUCell(3, 2)(x)", "nn.LocalResponseNorm(2)(x[None])", "nn.AlphaDropout(0.2)(x)",
    "torch.linalg.norm(x, 2)", "torch.linalg.norm(x, 1, (0, 1))", "torch.linalg.matrix_norm(x)", "x.norm('nuc')",
    "torch.linalg.norm(x, inf)", "torch.var_mean(x, 0)[0]", "torch.linalg.vecdot(x, x)",
    "torch.meshgrid(x[0], x[1], indexing='ij')[0]",
    "torch.linalg.matrix_power(x, 3)", "torch.linalg.svdvals(x)", "torch.linalg.eigvalsh(x)", "F.multi_margin_loss(x, i)",
    "F.multilabel_margin_loss(x, j[[0, 0, 2]][:, [0, 1, 1]])", "F.pdist(x)", "x.msort()", "F.gumbel_softmax(x)",
]  # fmt: skip
"""Operations of a first course on a matrix x [3, 3] and indices i, j."""

SPECIAL = {
    "random": torch.tensor([[0.3, -0.7, 1.2], [0.8, 0.1, -0.4], [1.9, 0.6, -1.1]]),
    "zeros": torch.zeros(3, 3),
    "ones": torch.ones(3, 3),
    "identity": torch.eye(3),
    "diagonal": torch.diag(torch.tensor([2.0, 3.0, 5.0])),
    "symmetric": torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 7.0]]),
}


@pytest.mark.parametrize("text", first_usual(A_FIRST_COURSE, in_rows(3, A_FIRST_COURSE)))
def test_the_rule_of_a_first_course_is_told_and_depends_on_no_number(text: str) -> None:
    shown = set()
    for x in SPECIAL.values():
        found = explain(
            f"({text}).sum()",
            x=x.double(),
            i=torch.tensor([0, 2, 1]),
            j=torch.tensor([[0, 1], [2, 0], [1, 1]]),
        )
        told = [row for row in found if " -> " in row.operation]
        assert all(row.rule for row in told)
        assert not [
            row.rule for row in told if re.search("vjp of|^d .* / d operand", row.rule or "")
        ]
        # masks choose more or fewer elements: sizes are numbers of the input there
        shown.add(
            tuple(
                (row.operation, re.sub(r"\[\d+\]", "[n]", row.rule or ""))
                for row in told
                if " > " not in row.operation
            )
        )
    assert len(shown) == 1


@pytest.mark.parametrize("special", SPECIAL)
def test_a_matrix_product_has_its_rule_whatever_the_numbers(special: str) -> None:
    """1.0 showed ones as a local derivative where the other operand was the identity."""
    random, other = SPECIAL["random"].double(), SPECIAL[special].double()
    for left, right in ((random, other), (other, random), (other, other)):
        found = {row.operation: row for row in explain("(x @ w).sum()", x=left, w=right)}
        assert (
            found["@ -> x"].rule
            == found["@ -> x"].local
            == "dL/dx = upstream @ w^T: [3, 3] @ [3, 3] = [3, 3]"
        )
        assert (
            found["@ -> w"].rule
            == found["@ -> w"].local
            == "dL/dw = x^T @ upstream: [3, 3] @ [3, 3] = [3, 3]"
        )
    one = {row.operation: row for row in explain("(x @ w).sum()", x=[[2.0]], w=[[3.0]])}
    assert one["@ -> x"].local == "dL/dx = upstream @ w^T: [1, 1] @ [1, 1] = [1, 1]"
