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
    Loss("mse", "F.mse_loss", "weight*(pred - target)**2", "2*weight*(pred - target)",
         aliases=("mse_loss", "mean_squared_error"), target="real", parameters=(_REDUCTION, _WEIGHT)),
    Loss("l1", "F.l1_loss", "weight*abs(pred - target)", "weight*sign(pred - target)", aliases=("l1_loss", "mae"),
         target="real", kinks=("target",), parameters=(_REDUCTION, _WEIGHT)),
    Loss("smooth_l1", "F.smooth_l1_loss",
         "where(abs(pred - target) < beta, 0.5*(pred - target)**2/beta, abs(pred - target) - 0.5*beta)",
         "where(abs(pred - target) < beta, (pred - target)/beta, sign(pred - target))",
         aliases=("smooth_l1_loss",), target="real", kinks=("target if beta == 0 else nan",),
         parameters=(_REDUCTION, Parameter("beta", 1.0))),
    Loss("huber", "F.huber_loss",
         "weight*where(abs(pred - target) < delta, 0.5*(pred - target)**2,"
         " delta*(abs(pred - target) - 0.5*delta))",
         "weight*clamp(pred - target, -delta, delta)",
         aliases=("huber_loss",), target="real", parameters=(_REDUCTION, Parameter("delta", 1.0), _WEIGHT)),
    # PyTorch bounds each logarithm at -100 and the derivative's denominator at 1e-12.
    Loss("bce", "F.binary_cross_entropy",
         "-weight*(target*clamp(log(pred), min=-100) + (1 - target)*clamp(log(1 - pred), min=-100))",
         "weight*(pred - target)/clamp(pred*(1 - pred), min=1e-12)",
         aliases=("binary_cross_entropy", "bce_loss"), target="probability", parameters=(_WEIGHT, _REDUCTION)),
    Loss("bce_with_logits", "F.binary_cross_entropy_with_logits",
         "-weight*(pos_weight*target*logsigmoid(pred) + (1 - target)*logsigmoid(-pred))",
         "weight*((1 - target)*sigmoid(pred) - pos_weight*target*sigmoid(-pred))",
         aliases=("binary_cross_entropy_with_logits", "bce_with_logits_loss", "bce_logits"), target="probability",
         parameters=(_WEIGHT, _REDUCTION, Parameter("pos_weight", None))),
    Loss("cross_entropy", "F.cross_entropy",
         "-(1 - label_smoothing)*weight[target]*log_softmax(pred, -1)[target]"
         " - (label_smoothing*mean(weight*log_softmax(pred, -1)) if label_smoothing else 0)",
         "(1 - label_smoothing)*weight[target]*(softmax(pred, -1) - one_hot(target, len(pred)))"
         " + label_smoothing*(mean(weight)*softmax(pred, -1) - weight/len(pred))",
         aliases=("ce", "cross_entropy_loss"), target="class", mixes="row",
         parameters=(_WEIGHT, _IGNORE_INDEX, _REDUCTION, Parameter("label_smoothing", 0.0))),
    Loss("nll", "F.nll_loss", "-weight[target]*pred[target]", "-weight[target]*one_hot(target, len(pred))",
         aliases=("nll_loss",), target="class", mixes="row", parameters=(_WEIGHT, _IGNORE_INDEX, _REDUCTION)),
    Loss("kl_div", "F.kl_div",
         "exp(target)*(target - pred) if log_target else xlogy(target, target) - target*pred",
         "-exp(target) if log_target else -target",
         aliases=("kl", "kl_div_loss"), target="probability", broadcasts=True,
         parameters=(_KL_REDUCTION, Parameter("log_target", False))),
    Loss("poisson_nll", "F.poisson_nll_loss",
         "(exp(pred) - target*pred if log_input else pred - target*log(pred + eps))"
         " + (where(target > 1, target*log(target) - target + 0.5*log(2*pi*target), 0) if full else 0)",
         "exp(pred) - target if log_input else 1 - target/(pred + eps)",
         aliases=("poisson_nll_loss",), target="count", broadcasts=True,
         parameters=(Parameter("log_input", True), Parameter("full", False), Parameter("eps", 1e-8), _REDUCTION)),
    Loss("soft_margin", "F.soft_margin_loss", "log1p(exp(-target*pred))", "-target*sigmoid(-target*pred)",
         aliases=("soft_margin_loss",), target="sign", parameters=(_REDUCTION,)),
    Loss("multilabel_margin", "F.multilabel_margin_loss",
         "sum(relu(1 - pred[target][:, None] + index_fill(pred, 0, target, -inf)))/len(pred)",
         "sum((1 - pred[target][:, None] + index_fill(pred, 0, target, -inf) > 0)[:, :, None]"
         "*(eye(len(pred)) - one_hot(target, len(pred))[:, None]), (0, 1))/len(pred)",
         aliases=("multilabel_margin_loss",), target="labels", mixes="row",
         kinks=("pred[target][:, None] - 1 + index_fill(zeros_like(pred), 0, target, nan)",), parameters=(_REDUCTION,)),
    Loss("multilabel_soft_margin", "F.multilabel_soft_margin_loss",
         "-mean(weight*(target*logsigmoid(pred) + (1 - target)*logsigmoid(-pred)))",
         "weight*(sigmoid(pred) - target)/len(pred)",
         aliases=("multilabel_soft_margin_loss",), target="probability", mixes="row", parameters=(_WEIGHT, _REDUCTION)),
    Loss("multi_margin", "F.multi_margin_loss",
         "weight[target]*sum(relu(margin - pred[target] + index_fill(pred, 0, target, -inf))**p)/len(pred)",
         "weight[target]*sum((p*relu(margin - pred[target] + pred)**(p - 1)*(pred > pred[target] - margin))"
         "[:, None]*(eye(len(pred)) - one_hot(target, len(pred))), 0)/len(pred)",
         aliases=("multi_margin_loss",), target="class", mixes="row",
         kinks=("pred[target] - margin + index_fill(zeros_like(pred), 0, target, nan) if p == 1 else nan",),
         parameters=(Parameter("p", 1, (1, 2)), Parameter("margin", 1.0), _WEIGHT, _REDUCTION)),
    Loss("hinge_embedding", "F.hinge_embedding_loss",
         "where(target == 1, pred, relu(margin - pred))",
         "where(target == 1, 1.0, where(pred < margin, -1.0, 0.0))",
         aliases=("hinge_embedding_loss",), target="sign", broadcasts=True, kinks=("where(target == 1, nan, margin)",),
         parameters=(Parameter("margin", 1.0), _REDUCTION)),
    # The one point where every difference is 0 at once.
    Loss("l2_norm", "torch.norm", "sqrt(sum((pred - target)**2))", "(pred - target)/sqrt(sum((pred - target)**2))",
         code="torch.norm(pred - target, 2)", target="real", reduction="norm", mixes="all", broadcasts=True,
         kinks=("where(sum((pred - target)**2) == 0, target, nan)",)),
    Loss("sse", "F.mse_loss", "sum((pred - target)**2)", "2*(pred - target)", aliases=("sum_squared_error",),
         code="F.mse_loss(pred, target, reduction=reduction)", target="real", reduction="sum"),
    Loss("half_sse", "F.mse_loss", "0.5*sum((pred - target)**2)", "pred - target",
         code="0.5*F.mse_loss(pred, target, reduction=reduction)", target="real", reduction="sum"),
)  # fmt: skip
