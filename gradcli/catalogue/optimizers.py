"""The optimisers of torch.optim: their names for help and completion, and what each does in a step.

The formulas are those of PyTorch's documentation, in the language of expressions. `theta` is the
parameter before the step, `g` its gradient, `t` the number of the step; the other names are the
arguments of the optimiser, and the lines above. The installed PyTorch decides which optimisers
there are.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

PARTS: Mapping[str, tuple[str, ...]] = {
    "betas": ("beta1", "beta2"),
    "eps": ("eps1", "eps2"),
    "etas": ("etaminus", "etaplus"),
    "step_sizes": ("step_min", "step_max"),
    "ns_coefficients": ("a", "b", "c"),
}
"""The names of the numbers of an argument that is a tuple."""

RECENT = ("maximize", "decoupled_weight_decay")
"""Arguments that some optimisers, and earlier versions of them, do not have: they are false."""

NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*\b(?!\()")
"""A name in a formula that is not that of a function or a method."""


class Line(NamedTuple):
    """One quantity of a step, `name`. In its own formula the name is its value before the step."""

    name: str
    formula: str
    kept: str = ""
    """PyTorch's name for it in the optimiser's state; empty if PyTorch does not keep it."""
    when: str = ""
    """The condition on which the line is used; always if empty."""
    start: str = "0"
    """Its value before the first step."""
    times: str = ""
    """How often this line, with those around it that have the same text here, is repeated."""
    words: str = ""
    """What PyTorch keeps, for a line without a formula."""


_MAXIMIZE = Line("g", "-g", when="maximize")
_DECAY = Line("g", "g + weight_decay*theta", when="weight_decay and not decoupled_weight_decay")
_GRADIENT = (_MAXIMIZE, _DECAY)
_M = Line("m", "beta1*m + (1 - beta1)*g", "exp_avg")
_V = Line("v", "beta2*v + (1 - beta2)*g**2", "exp_avg_sq")
_M_HAT = Line("m_hat", "m/(1 - beta1**t)")
_V_HAT = Line("v_hat", "v/(1 - beta2**t)")


def _update(formula: str, decoupled: str) -> tuple[Line, Line]:
    """The update without and with a weight decay that is not part of the gradient, on a condition."""
    return (
        Line("update", f"-{formula}", when=f"not ({decoupled})"),
        Line("update", f"-lr*weight_decay*theta - {formula}", when=decoupled),
    )


_DECOUPLED = "weight_decay and decoupled_weight_decay"
_ADAPTIVE = "lr*m_hat/(sqrt(v_hat) + eps)"
_ADAM = (
    _M, _V, Line("v_max", "maximum(v_max, v)", "max_exp_avg_sq", "amsgrad"), _M_HAT,
    _V_HAT._replace(when="not amsgrad"), Line("v_hat", "v_max/(1 - beta2**t)", when="amsgrad"),
)  # fmt: skip

LINES: Mapping[str, tuple[Line, ...]] = {
    "sgd": (
        *_GRADIENT,
        Line("momentum_buffer", "g", "momentum_buffer", "momentum and t == 1"),
        Line("momentum_buffer", "momentum*momentum_buffer + (1 - dampening)*g", "momentum_buffer", "momentum and t > 1"),
        Line("g", "g + momentum*momentum_buffer", when="momentum and nesterov"),
        Line("update", "-lr*g", when="nesterov or not momentum"),
        Line("update", "-lr*momentum_buffer", when="momentum and not nesterov"),
    ),
    "adam": (*_GRADIENT, *_ADAM, *_update(_ADAPTIVE, _DECOUPLED)),
    "adamw": (_MAXIMIZE, *_ADAM, *_update(_ADAPTIVE, "weight_decay")),
    "rmsprop": (
        *_GRADIENT,
        Line("v", "alpha*v + (1 - alpha)*g**2", "square_avg"),
        Line("g_avg", "alpha*g_avg + (1 - alpha)*g", "grad_avg", "centered"),
        Line("root", "sqrt(v)", when="not centered"),
        Line("root", "sqrt(v - g_avg**2)", when="centered"),
        Line("momentum_buffer", "momentum*momentum_buffer + g/(root + eps)", "momentum_buffer", "momentum"),
        Line("update", "-lr*momentum_buffer", when="momentum"),
        Line("update", "-lr*g/(root + eps)", when="not momentum"),
    ),
    "adagrad": (
        *_GRADIENT,
        Line("sum", "sum + g**2", "sum"),
        Line("rate", "lr/(1 + (t - 1)*lr_decay)", when="lr_decay"),
        Line("update", "-rate*g/(sqrt(sum) + eps)", when="lr_decay"),
        Line("update", "-lr*g/(sqrt(sum) + eps)", when="not lr_decay"),
    ),
    "adadelta": (
        *_GRADIENT,
        Line("v", "rho*v + (1 - rho)*g**2", "square_avg"),
        Line("delta", "sqrt(u + eps)/sqrt(v + eps)*g"),
        Line("u", "rho*u + (1 - rho)*delta**2", "acc_delta"),
        Line("update", "-lr*delta"),
    ),
    "adafactor": (
        _MAXIMIZE,
        Line("beta2", "1 - t**beta2_decay"),
        Line("rho", "min(lr, 1/t**0.5)"),
        Line("alpha", "rho*clamp(mean(theta**2)**0.5, eps2)"),
        Line("R", "beta2*R + (1 - beta2)*mean(g**2, -1, True)", "row_var", "ndim > 1"),
        Line("C", "beta2*C + (1 - beta2)*mean(g**2, -2, True)", "col_var", "ndim > 1"),
        Line("V", "R @ C/clamp(mean(R, -2, True), eps1)", when="ndim > 1"),
        Line("V", "beta2*V + (1 - beta2)*g**2", "variance", "ndim < 2"),
        Line("U", "g/clamp(sqrt(V), eps1)"),
        Line("U_hat", "U/clamp(mean(U**2)**0.5/d, 1)"),
        *_update("alpha*U_hat", "weight_decay"),
    ),
    "adamax": (
        *_GRADIENT, _M,
        Line("u", "maximum(beta2*u, abs(g) + eps)", "exp_inf"),
        Line("update", "-lr*m/((1 - beta1**t)*u)"),
    ),
    "asgd": (
        *_GRADIENT,
        Line("update", "-lambd*eta*theta - eta*g"),
        Line("ax", "ax + mu*(theta + update - ax)", "ax"),
        Line("eta", "lr/(1 + lambd*lr*t)**alpha", "eta", start="lr"),
        Line("mu", "1/max(1, t - t0)", "mu", start="1"),
    ),
    "lbfgs": (
        Line("iterations", "", "n_iter", words="since the start"),
        Line("evaluations", "", "func_evals", words="of the expression, since the start"),
        Line("y", "", "old_dirs", words="the last change of the gradient that it kept"),
        Line("s", "", "old_stps", words="the change of theta that caused it"),
        Line("d", "", "d", words="the last direction: -g, corrected by the pairs s, y"),
        Line("path", "", "path", words="the moves of this step before the last one"),
        Line("alpha", "", "t", words="how far it went in this direction"),
        Line("update", "alpha*d", when="moves == 1 and descends"),
        Line("update", "path.sum(0) + alpha*d", when="moves > 1 and descends"),
        Line("update", "path.sum(0)", when="moves > 1 and not descends"),
    ),
    "muon": (
        Line("B", "momentum*B + (1 - momentum)*g", "momentum_buffer", "nesterov or not overwritten"),
        Line("B", "momentum*B + (1 - momentum)*g", when="not nesterov and overwritten"),
        Line("N", "lerp(g, B, momentum)", when="nesterov"),
        Line("N", "B", when="not nesterov"),
        Line("X", "N.bfloat16()", when="rows <= columns"),
        Line("X", "N.bfloat16().T", when="rows > columns"),
        Line("X", "X/clamp(norm(X), eps)"),
        # Until 2.14 PyTorch overwrites its buffer if that is bfloat16 already.
        Line("B", "X", "momentum_buffer", "not nesterov and overwritten and rows <= columns"),
        Line("B", "X.T", "momentum_buffer", "not nesterov and overwritten and rows > columns"),
        Line("A", "X @ X.T", times="ns_steps"),
        Line("P", "addmm(A, A, A, beta=b, alpha=c)", times="ns_steps"),
        Line("X", "addmm(X, P, X, beta=a)", times="ns_steps"),
        Line("O", "X.type_as(theta)", when="rows <= columns"),
        Line("O", "X.T.type_as(theta)", when="rows > columns"),
        Line("rate", "lr*max(1, rows/columns)**0.5", when="adjust_lr_fn != 'match_rms_adamw'"),
        Line("rate", "0.2*lr*max(rows, columns)**0.5", when="adjust_lr_fn == 'match_rms_adamw'"),
        *_update("rate*O", "weight_decay"),
    ),
    "nadam": (
        *_GRADIENT,
        Line("mu", "beta1*(1 - 0.5*0.96**(t*momentum_decay))"),
        Line("mu_next", "beta1*(1 - 0.5*0.96**((t + 1)*momentum_decay))"),
        Line("mu_product", "mu_product*mu", "mu_product", start="1"),
        _M, _V,
        Line("m_hat", "mu_next*m/(1 - mu_product*mu_next) + (1 - mu)*g/(1 - mu_product)"), _V_HAT,
        *_update(_ADAPTIVE, _DECOUPLED),
    ),
    "radam": (
        *_GRADIENT, _M, _V, _M_HAT,
        Line("rho_inf", "2/(1 - beta2) - 1"),
        Line("rho", "rho_inf - 2*t*beta2**t/(1 - beta2**t)"),
        Line("l", "(1 - beta2**t)**0.5/(sqrt(v) + eps)", when="rho > 5"),
        Line("r", "((rho - 4)*(rho - 2)*rho_inf/((rho_inf - 4)*(rho_inf - 2)*rho))**0.5", when="rho > 5"),
        *(line._replace(when=f"rho > 5 and {line.when}") for line in _update("lr*m_hat*r*l", _DECOUPLED)),
        *(line._replace(when=f"rho <= 5 and {line.when}") for line in _update("lr*m_hat", _DECOUPLED)),
    ),
    "rprop": (
        _MAXIMIZE,
        Line("factor", "where(g*g_prev > 0, etaplus, where(g*g_prev < 0, etaminus, 1))"),
        Line("eta", "clamp(factor*eta, step_min, step_max)", "step_size", start="lr"),
        Line("g", "where(g*g_prev < 0, 0, g)"),
        Line("g_prev", "g", "prev"),
        Line("update", "-eta*sign(g)"),
    ),
    "sparseadam": (
        _MAXIMIZE,
        Line("m", "where(touched, beta1*m + (1 - beta1)*g, m)", "exp_avg"),
        Line("v", "where(touched, beta2*v + (1 - beta2)*g**2, v)", "exp_avg_sq"),
        _M_HAT, _V_HAT,
        Line("update", "where(touched, -lr*m_hat/(sqrt(v_hat) + eps), 0)"),
    ),
}  # fmt: skip
"""The lines of a step of each optimiser. SparseAdam moves the elements alone that its gradient has:
those are `touched`. A step of LBFGS consists of several `moves`; `path` holds all of them but the
last, alpha*d, which is made only if the value `descends` in that direction. Lines without a formula
are what PyTorch keeps."""

NAMES = tuple(LINES)
"""Their names, as help and completion offer them."""
