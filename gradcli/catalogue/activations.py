"""The activations: every elementwise one of torch.nn.functional, the softmax kinds, and the step.

A kink that only some parameters make is a conditional expression; nan in it means no kink. The
derivative that PyTorch chooses at a kink is measured, not written here. The forms are chosen so
that an intermediate overflow does no harm.
"""

from gradcli.catalogue.entries import Activation, Parameter

ACTIVATIONS = (
    Activation("relu", "F.relu", "where(x > 0, x, 0)", "where(x > 0, 1.0, 0.0)", range="[0, inf)", kinks=("0",)),
    Activation("relu6", "F.relu6", "clamp(x, 0, 6)", "where((x > 0) & (x < 6), 1.0, 0.0)", range="[0, 6]",
               kinks=("0", "6")),
    Activation("elu", "F.elu", "where(x > 0, x, alpha*expm1(x))", "where(x > 0, 1.0, alpha*exp(x))", range="(-alpha, inf)",
               kinks=("0 if alpha != 1 else nan",), parameters=(Parameter("alpha", 1.0),)),
    Activation("selu", "F.selu",
               "1.0507009873554805*where(x > 0, x, 1.6732632423543772*expm1(x))",
               "1.0507009873554805*where(x > 0, 1.0, 1.6732632423543772*exp(x))",
               range="(-1.7581, inf)", kinks=("0",)),
    Activation("celu", "F.celu", "where(x > 0, x, alpha*expm1(x/alpha))", "where(x > 0, 1.0, exp(x/alpha))",
               range="(-alpha, inf)", parameters=(Parameter("alpha", 1.0),)),
    Activation("leaky_relu", "F.leaky_relu", "where(x > 0, x, negative_slope*x)", "where(x > 0, 1.0, negative_slope)",
               aliases=("lrelu",), range="(-inf, inf)", kinks=("0",), parameters=(Parameter("negative_slope", 0.01),)),
    Activation("prelu", "F.prelu", "where(x > 0, x, weight*x)", "where(x > 0, 1.0, weight)", code="F.prelu(x, weight)",
               range="(-inf, inf)", kinks=("0",), parameters=(Parameter("weight", 0.25),)),
    Activation("rrelu", "F.rrelu", "where(x > 0, x, (lower + upper)/2*x)", "where(x > 0, 1.0, (lower + upper)/2)",
               range="(-inf, inf)", kinks=("0",), parameters=(Parameter("lower", 1 / 8), Parameter("upper", 1 / 3))),
    Activation("gelu", "F.gelu",
               "0.5*x*(1 + (erf(x/2**0.5) if approximate == 'none' else tanh((2/pi)**0.5*(x + 0.044715*x**3))))",
               "0.5*(1 + erf(x/2**0.5)) + x*exp(-x**2/2)/(2*pi)**0.5 if approximate == 'none' else "
               "0.5*(1 + tanh((2/pi)**0.5*(x + 0.044715*x**3)))"
               " + 0.5*x*(1 - tanh((2/pi)**0.5*(x + 0.044715*x**3))**2)*(2/pi)**0.5*(1 + 0.134145*x**2)",
               range="[-0.169972, inf)", parameters=(Parameter("approximate", "none", ("none", "tanh")),)),
    Activation("silu", "F.silu", "x/(1 + exp(-x))", "sigmoid(x)*(1 + x*(1 - sigmoid(x)))", aliases=("swish",),
               range="[-0.278465, inf)"),
    Activation("mish", "F.mish", "x*tanh(softplus(x))", "tanh(softplus(x)) + x*(1 - tanh(softplus(x))**2)*sigmoid(x)",
               range="[-0.308850, inf)"),
    # The branches do not meet: PyTorch's function jumps, by 2e-9 with the default threshold.
    Activation("softplus", "F.softplus",
               "where(beta*x > threshold, x, log1p(exp(beta*x))/beta)",
               "where(beta*x > threshold, 1.0, sigmoid(beta*x))",
               range="(0, inf)", kinks=("threshold/beta if beta != 0 else nan",),
               parameters=(Parameter("beta", 1.0), Parameter("threshold", 20.0))),
    Activation("softshrink", "F.softshrink",
               "where(x > lambd, x - lambd, where(x < -lambd, x + lambd, 0))",
               "where(abs(x) > lambd, 1.0, 0.0)",
               aliases=("soft_shrink",), range="(-inf, inf)", kinks=("-lambd", "lambd"),
               parameters=(Parameter("lambd", 0.5),)),
    Activation("hardshrink", "F.hardshrink", "where(abs(x) > lambd, x, 0)", "where(abs(x) > lambd, 1.0, 0.0)",
               aliases=("hard_shrink",), range="(-inf, -lambd) or {0} or (lambd, inf)", kinks=("-lambd", "lambd"),
               parameters=(Parameter("lambd", 0.5),)),
    Activation("tanhshrink", "F.tanhshrink", "x - tanh(x)", "tanh(x)**2", aliases=("tanh_shrink",), range="(-inf, inf)"),
    Activation("softsign", "F.softsign", "x/(1 + abs(x))", "1/(1 + abs(x))**2", aliases=("soft_sign",), range="(-1, 1)"),
    Activation("tanh", "torch.tanh", "2/(1 + exp(-2*x)) - 1", "1 - tanh(x)**2", range="(-1, 1)"),
    Activation("sigmoid", "torch.sigmoid", "1/(1 + exp(-x))", "sigmoid(x)*(1 - sigmoid(x))", aliases=("logistic", "expit"),
               range="(0, 1)"),
    Activation("logsigmoid", "F.logsigmoid", "clamp(x, max=0) - log1p(exp(-abs(x)))", "sigmoid(-x)",
               aliases=("log_sigmoid",), range="(-inf, 0)"),
    Activation("hardtanh", "F.hardtanh", "clamp(x, min_val, max_val)", "where((x > min_val) & (x < max_val), 1.0, 0.0)",
               aliases=("hard_tanh",), range="[min_val, max_val]", kinks=("min_val", "max_val"),
               parameters=(Parameter("min_val", -1.0), Parameter("max_val", 1.0))),
    Activation("hardsigmoid", "F.hardsigmoid", "clamp(x/6 + 0.5, 0, 1)", "where(abs(x) < 3, 1/6, 0.0)",
               aliases=("hard_sigmoid",), range="[0, 1]", kinks=("-3", "3")),
    Activation("hardswish", "F.hardswish", "x*clamp(x + 3, 0, 6)/6", "where(x > 3, 1.0, where(x < -3, 0.0, x/3 + 0.5))",
               aliases=("hard_swish",), range="[-0.375, inf)", kinks=("-3", "3")),
    # PyTorch gives these two no defaults; with 0 and 0 the function is relu.
    Activation("threshold", "F.threshold", "where(x > threshold, x, value)", "where(x > threshold, 1.0, 0.0)",
               code="F.threshold(x, threshold, value)", range="{value} or (threshold, inf)", kinks=("threshold",),
               parameters=(Parameter("threshold", 0.0), Parameter("value", 0.0))),
    # Off 0 it is 0, but PyTorch refuses to differentiate torch.heaviside.
    Activation("step", "torch.heaviside", "where(x > 0, 1.0, 0.0)", None, aliases=("heaviside",),
               code="torch.heaviside(x, torch.zeros(()))", range="{0, 1}", kinks=("0",)),
    Activation("softmax", "F.softmax", "exp(x - logsumexp(x, -1, keepdim=True))", "softmax(x, -1)*(1 - softmax(x, -1))",
               range="(0, 1)", mixes="row"),
    Activation("log_softmax", "F.log_softmax", "x - logsumexp(x, -1, keepdim=True)", "1 - softmax(x, -1)",
               aliases=("logsoftmax",), range="(-inf, 0)", mixes="row"),
    Activation("softmin", "F.softmin", "exp(-x - logsumexp(-x, -1, keepdim=True))",
               "-softmax(-x, -1)*(1 - softmax(-x, -1))", range="(0, 1)", mixes="row"),
)  # fmt: skip
