"""The losses of torch.nn.functional that compare one prediction with one target, and three sums.

The conventions for kinks are those of the activations. In a formula a class is an index into
`pred`; the labels of multilabel_margin are those before its first -1. Formulas leave out that a
sample whose class is ignore_index has element 0, and that cross_entropy with probabilities as its
target is -sum(weight*target*log_softmax(pred)).
"""

from gradcli.catalogue.entries import Loss, Parameter, Target

TARGETS: dict[Target, str] = {
    "real": "any numbers, in the shape of pred",
    "probability": "numbers from 0 to 1, in the shape of pred",
    "count": "numbers >= 0, in the shape of pred",
    "sign": "1 or -1, in the shape of pred",
    "class": "the index of one class for each row of pred",
    "labels": "the indices of the true classes, then -1, in the shape of pred",
}
"""The values of each kind of target."""

_REDUCTION = Parameter("reduction", "mean", ("mean", "sum", "none"))
_KL_REDUCTION = Parameter("reduction", "mean", ("mean", "sum", "none", "batchmean"))
_WEIGHT = Parameter("weight", None)
_IGNORE_INDEX = Parameter("ignore_index", -100)

LOSSES = (
    Loss(
        name="mse", torch="F.mse_loss", aliases=("mse_loss", "mean_squared_error"),
        formula="weight*(pred - target)**2",
        derivative="2*weight*(pred - target)",
        target="real", parameters=(_REDUCTION, _WEIGHT),
    ),
    Loss(
        name="l1", torch="F.l1_loss", aliases=("l1_loss", "mae"),
        formula="weight*abs(pred - target)",
        derivative="weight*sign(pred - target)",
        target="real", kinks=("target",), parameters=(_REDUCTION, _WEIGHT),
    ),
    Loss(
        name="smooth_l1", torch="F.smooth_l1_loss", aliases=("smooth_l1_loss",),
        formula="where(abs(pred - target) < beta, 0.5*(pred - target)**2/beta, abs(pred - target) - 0.5*beta)",
        derivative="where(abs(pred - target) < beta, (pred - target)/beta, sign(pred - target))",
        target="real", kinks=("target if beta == 0 else nan",),
        parameters=(_REDUCTION, Parameter("beta", 1.0)),
    ),
    Loss(
        name="huber", torch="F.huber_loss", aliases=("huber_loss",),
        formula="weight*where(abs(pred - target) < delta, 0.5*(pred - target)**2,"
        " delta*(abs(pred - target) - 0.5*delta))",
        derivative="weight*clamp(pred - target, -delta, delta)",
        target="real", parameters=(_REDUCTION, Parameter("delta", 1.0), _WEIGHT),
    ),
    Loss(
        name="bce", torch="F.binary_cross_entropy", aliases=("binary_cross_entropy", "bce_loss"),
        # PyTorch bounds each logarithm at -100 and the derivative's denominator at 1e-12.
        formula="-weight*(target*clamp(log(pred), min=-100) + (1 - target)*clamp(log(1 - pred), min=-100))",
        derivative="weight*(pred - target)/clamp(pred*(1 - pred), min=1e-12)",
        target="probability", parameters=(_WEIGHT, _REDUCTION),
    ),
    Loss(
        name="bce_with_logits", torch="F.binary_cross_entropy_with_logits",
        aliases=("binary_cross_entropy_with_logits", "bce_with_logits_loss", "bce_logits"),
        formula="-weight*(pos_weight*target*logsigmoid(pred) + (1 - target)*logsigmoid(-pred))",
        derivative="weight*((1 - target)*sigmoid(pred) - pos_weight*target*sigmoid(-pred))",
        target="probability", parameters=(_WEIGHT, _REDUCTION, Parameter("pos_weight", None)),
    ),
    Loss(
        name="cross_entropy", torch="F.cross_entropy", aliases=("ce", "cross_entropy_loss"),
        formula="-(1 - label_smoothing)*weight[target]*log_softmax(pred, -1)[target]"
        " - (label_smoothing*mean(weight*log_softmax(pred, -1)) if label_smoothing else 0)",
        derivative="(1 - label_smoothing)*weight[target]*(softmax(pred, -1) - one_hot(target, len(pred)))"
        " + label_smoothing*(mean(weight)*softmax(pred, -1) - weight/len(pred))",
        target="class", mixes="row",
        parameters=(_WEIGHT, _IGNORE_INDEX, _REDUCTION, Parameter("label_smoothing", 0.0)),
    ),
    Loss(
        name="nll", torch="F.nll_loss", aliases=("nll_loss",),
        formula="-weight[target]*pred[target]",
        derivative="-weight[target]*one_hot(target, len(pred))",
        target="class", mixes="row", parameters=(_WEIGHT, _IGNORE_INDEX, _REDUCTION),
    ),
    Loss(
        name="kl_div", torch="F.kl_div", aliases=("kl", "kl_div_loss"),
        formula="exp(target)*(target - pred) if log_target else xlogy(target, target) - target*pred",
        derivative="-exp(target) if log_target else -target",
        target="probability", broadcasts=True,
        parameters=(_KL_REDUCTION, Parameter("log_target", False)),
    ),
    Loss(
        name="poisson_nll", torch="F.poisson_nll_loss", aliases=("poisson_nll_loss",),
        formula="(exp(pred) - target*pred if log_input else pred - target*log(pred + eps))"
        " + (where(target > 1, target*log(target) - target + 0.5*log(2*pi*target), 0) if full else 0)",
        derivative="exp(pred) - target if log_input else 1 - target/(pred + eps)",
        target="count", broadcasts=True,
        parameters=(Parameter("log_input", True), Parameter("full", False), Parameter("eps", 1e-8), _REDUCTION),
    ),
    Loss(
        name="soft_margin", torch="F.soft_margin_loss", aliases=("soft_margin_loss",),
        formula="log1p(exp(-target*pred))",
        derivative="-target*sigmoid(-target*pred)",
        target="sign", parameters=(_REDUCTION,),
    ),
    Loss(
        name="multilabel_margin", torch="F.multilabel_margin_loss",
        aliases=("multilabel_margin_loss",),
        formula="sum(relu(1 - pred[target][:, None] + index_fill(pred, 0, target, -inf)))/len(pred)",
        derivative="sum((1 - pred[target][:, None] + index_fill(pred, 0, target, -inf) > 0)[:, :, None]"
        "*(eye(len(pred)) - one_hot(target, len(pred))[:, None]), (0, 1))/len(pred)",
        target="labels", mixes="row",
        kinks=("pred[target][:, None] - 1 + index_fill(zeros_like(pred), 0, target, nan)",),
        parameters=(_REDUCTION,),
    ),
    Loss(
        name="multilabel_soft_margin", torch="F.multilabel_soft_margin_loss",
        aliases=("multilabel_soft_margin_loss",),
        formula="-mean(weight*(target*logsigmoid(pred) + (1 - target)*logsigmoid(-pred)))",
        derivative="weight*(sigmoid(pred) - target)/len(pred)",
        target="probability", mixes="row", parameters=(_WEIGHT, _REDUCTION),
    ),
    Loss(
        name="multi_margin", torch="F.multi_margin_loss", aliases=("multi_margin_loss",),
        formula="weight[target]*sum(relu(margin - pred[target] + index_fill(pred, 0, target, -inf))**p)/len(pred)",
        derivative="weight[target]*sum((p*relu(margin - pred[target] + pred)**(p - 1)*(pred > pred[target] - margin))"
        "[:, None]*(eye(len(pred)) - one_hot(target, len(pred))), 0)/len(pred)",
        target="class", mixes="row",
        kinks=("pred[target] - margin + index_fill(zeros_like(pred), 0, target, nan) if p == 1 else nan",),
        parameters=(Parameter("p", 1, (1, 2)), Parameter("margin", 1.0), _WEIGHT, _REDUCTION),
    ),
    Loss(
        name="hinge_embedding", torch="F.hinge_embedding_loss", aliases=("hinge_embedding_loss",),
        formula="where(target == 1, pred, relu(margin - pred))",
        derivative="where(target == 1, 1.0, where(pred < margin, -1.0, 0.0))",
        target="sign", broadcasts=True, kinks=("where(target == 1, nan, margin)",),
        parameters=(Parameter("margin", 1.0), _REDUCTION),
    ),
    Loss(
        name="l2_norm", torch="torch.norm",
        code="torch.norm(pred - target, 2)",
        formula="sqrt(sum((pred - target)**2))",
        derivative="(pred - target)/sqrt(sum((pred - target)**2))",
        target="real", reduction="norm", mixes="all", broadcasts=True,
        # The one point where every difference is 0 at once.
        kinks=("where(sum((pred - target)**2) == 0, target, nan)",),
    ),
    Loss(
        name="sse", torch="F.mse_loss", aliases=("sum_squared_error",),
        code="F.mse_loss(pred, target, reduction=reduction)",
        formula="sum((pred - target)**2)",
        derivative="2*(pred - target)",
        target="real", reduction="sum",
    ),
    Loss(
        name="half_sse", torch="F.mse_loss",
        code="0.5*F.mse_loss(pred, target, reduction=reduction)",
        formula="0.5*sum((pred - target)**2)",
        derivative="pred - target",
        target="real", reduction="sum",
    ),
)  # fmt: skip
