"""The activations: every elementwise one of torch.nn.functional, the softmax kinds, and the step.

A kink that only some parameters make is a conditional expression; nan in it means no kink. The
derivative that PyTorch chooses at a kink is measured, not written here. The forms are chosen so
that an intermediate overflow does no harm.
"""

from gradcli.catalogue.entries import Activation, Parameter

ACTIVATIONS = (
    Activation(
        name="relu", torch="F.relu",
        formula="where(x > 0, x, 0)",
        derivative="where(x > 0, 1.0, 0.0)",
        range="[0, inf)", kinks=("0",),
    ),
    Activation(
        name="relu6", torch="F.relu6",
        formula="clamp(x, 0, 6)",
        derivative="where((x > 0) & (x < 6), 1.0, 0.0)",
        range="[0, 6]", kinks=("0", "6"),
    ),
    Activation(
        name="elu", torch="F.elu",
        formula="where(x > 0, x, alpha*expm1(x))",
        derivative="where(x > 0, 1.0, alpha*exp(x))",
        range="(-alpha, inf)", kinks=("0 if alpha != 1 else nan",),
        parameters=(Parameter("alpha", 1.0),),
    ),
    Activation(
        name="selu", torch="F.selu",
        formula="1.0507009873554805*where(x > 0, x, 1.6732632423543772*expm1(x))",
        derivative="1.0507009873554805*where(x > 0, 1.0, 1.6732632423543772*exp(x))",
        range="(-1.7581, inf)", kinks=("0",),
    ),
    Activation(
        name="celu", torch="F.celu",
        formula="where(x > 0, x, alpha*expm1(x/alpha))",
        derivative="where(x > 0, 1.0, exp(x/alpha))",
        range="(-alpha, inf)", parameters=(Parameter("alpha", 1.0),),
    ),
    Activation(
        name="leaky_relu", torch="F.leaky_relu", aliases=("lrelu",),
        formula="where(x > 0, x, negative_slope*x)",
        derivative="where(x > 0, 1.0, negative_slope)",
        range="(-inf, inf)", kinks=("0",), parameters=(Parameter("negative_slope", 0.01),),
    ),
    Activation(
        name="prelu", torch="F.prelu",
        code="F.prelu(x, weight)",
        formula="where(x > 0, x, weight*x)",
        derivative="where(x > 0, 1.0, weight)",
        range="(-inf, inf)", kinks=("0",), parameters=(Parameter("weight", 0.25),),
    ),
    Activation(
        name="rrelu", torch="F.rrelu",
        formula="where(x > 0, x, (lower + upper)/2*x)",
        derivative="where(x > 0, 1.0, (lower + upper)/2)",
        range="(-inf, inf)", kinks=("0",),
        parameters=(Parameter("lower", 1 / 8), Parameter("upper", 1 / 3)),
    ),
    Activation(
        name="gelu", torch="F.gelu",
        formula="0.5*x*(1 + (erf(x/2**0.5) if approximate == 'none' else tanh((2/pi)**0.5*(x + 0.044715*x**3))))",
        derivative="0.5*(1 + erf(x/2**0.5)) + x*exp(-x**2/2)/(2*pi)**0.5 if approximate == 'none' else "
        "0.5*(1 + tanh((2/pi)**0.5*(x + 0.044715*x**3)))"
        " + 0.5*x*(1 - tanh((2/pi)**0.5*(x + 0.044715*x**3))**2)*(2/pi)**0.5*(1 + 0.134145*x**2)",
        range="[-0.169972, inf)", parameters=(Parameter("approximate", "none", ("none", "tanh")),),
    ),
    Activation(
        name="silu", torch="F.silu", aliases=("swish",),
        formula="x/(1 + exp(-x))",
        derivative="sigmoid(x)*(1 + x*(1 - sigmoid(x)))",
        range="[-0.278465, inf)",
    ),
    Activation(
        name="mish", torch="F.mish",
        formula="x*tanh(softplus(x))",
        derivative="tanh(softplus(x)) + x*(1 - tanh(softplus(x))**2)*sigmoid(x)",
        range="[-0.308850, inf)",
    ),
    Activation(
        name="softplus", torch="F.softplus",
        formula="where(beta*x > threshold, x, log1p(exp(beta*x))/beta)",
        derivative="where(beta*x > threshold, 1.0, sigmoid(beta*x))",
        range="(0, inf)",
        # The branches do not meet: PyTorch's function jumps, by 2e-9 with the default threshold.
        kinks=("threshold/beta",),
        parameters=(Parameter("beta", 1.0), Parameter("threshold", 20.0)),
    ),
    Activation(
        name="softshrink", torch="F.softshrink", aliases=("soft_shrink",),
        formula="where(x > lambd, x - lambd, where(x < -lambd, x + lambd, 0))",
        derivative="where(abs(x) > lambd, 1.0, 0.0)",
        range="(-inf, inf)", kinks=("-lambd", "lambd"), parameters=(Parameter("lambd", 0.5),),
    ),
    Activation(
        name="hardshrink", torch="F.hardshrink", aliases=("hard_shrink",),
        formula="where(abs(x) > lambd, x, 0)",
        derivative="where(abs(x) > lambd, 1.0, 0.0)",
        range="(-inf, -lambd) or {0} or (lambd, inf)", kinks=("-lambd", "lambd"),
        parameters=(Parameter("lambd", 0.5),),
    ),
    Activation(
        name="tanhshrink", torch="F.tanhshrink", aliases=("tanh_shrink",),
        formula="x - tanh(x)",
        derivative="tanh(x)**2",
        range="(-inf, inf)",
    ),
    Activation(
        name="softsign", torch="F.softsign", aliases=("soft_sign",),
        formula="x/(1 + abs(x))",
        derivative="1/(1 + abs(x))**2",
        range="(-1, 1)",
    ),
    Activation(
        name="tanh", torch="torch.tanh",
        formula="2/(1 + exp(-2*x)) - 1",
        derivative="1 - tanh(x)**2",
        range="(-1, 1)",
    ),
    Activation(
        name="sigmoid", torch="torch.sigmoid", aliases=("logistic", "expit"),
        formula="1/(1 + exp(-x))",
        derivative="sigmoid(x)*(1 - sigmoid(x))",
        range="(0, 1)",
    ),
    Activation(
        name="logsigmoid", torch="F.logsigmoid", aliases=("log_sigmoid",),
        formula="clamp(x, max=0) - log1p(exp(-abs(x)))",
        derivative="sigmoid(-x)",
        range="(-inf, 0)",
    ),
    Activation(
        name="hardtanh", torch="F.hardtanh", aliases=("hard_tanh",),
        formula="clamp(x, min_val, max_val)",
        derivative="where((x > min_val) & (x < max_val), 1.0, 0.0)",
        range="[min_val, max_val]", kinks=("min_val", "max_val"),
        parameters=(Parameter("min_val", -1.0), Parameter("max_val", 1.0)),
    ),
    Activation(
        name="hardsigmoid", torch="F.hardsigmoid", aliases=("hard_sigmoid",),
        formula="clamp(x/6 + 0.5, 0, 1)",
        derivative="where(abs(x) < 3, 1/6, 0.0)",
        range="[0, 1]", kinks=("-3", "3"),
    ),
    Activation(
        name="hardswish", torch="F.hardswish", aliases=("hard_swish",),
        formula="x*clamp(x + 3, 0, 6)/6",
        derivative="where(x > 3, 1.0, where(x < -3, 0.0, x/3 + 0.5))",
        range="[-0.375, inf)", kinks=("-3", "3"),
    ),
    Activation(
        name="threshold", torch="F.threshold",
        code="F.threshold(x, threshold, value)",
        formula="where(x > threshold, x, value)",
        derivative="where(x > threshold, 1.0, 0.0)",
        range="{value} or (threshold, inf)", kinks=("threshold",),
        # PyTorch gives these two no defaults; with 0 and 0 the function is relu.
        parameters=(Parameter("threshold", 0.0), Parameter("value", 0.0)),
    ),
    Activation(
        name="step", torch="torch.heaviside", aliases=("heaviside",),
        code="torch.heaviside(x, torch.zeros(()))",
        formula="where(x > 0, 1.0, 0.0)",
        # Off 0 it is 0, but PyTorch refuses to differentiate torch.heaviside.
        derivative=None,
        range="{0, 1}", kinks=("0",),
    ),
    Activation(
        name="softmax", torch="F.softmax",
        formula="exp(x - logsumexp(x, -1, keepdim=True))",
        derivative="softmax(x, -1)*(1 - softmax(x, -1))",
        range="(0, 1)", mixes="row",
    ),
    Activation(
        name="log_softmax", torch="F.log_softmax", aliases=("logsoftmax",),
        formula="x - logsumexp(x, -1, keepdim=True)",
        derivative="1 - softmax(x, -1)",
        range="(-inf, 0)", mixes="row",
    ),
    Activation(
        name="softmin", torch="F.softmin",
        formula="exp(-x - logsumexp(-x, -1, keepdim=True))",
        derivative="-softmax(-x, -1)*(1 - softmax(-x, -1))",
        range="(0, 1)", mixes="row",
    ),
)  # fmt: skip
