"""Mistakes of training whose loss, gradient or average means something else; PyTorch lets most of
them pass.
"""

from gradcli.catalogue.mistakes.entry import Mistake

SILENT = (
    Mistake(
        "nll-of-probabilities",
        "nll_loss needs log-probabilities, but was given probabilities",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1]], requires_grad=True)
            p = torch.softmax(logits, dim=1)
            loss = F.nll_loss(p, torch.tensor([0]))  # <--
            loss.backward()
            print(loss.detach(), logits.grad)
        """,
        cause="nll_loss takes the negative of the entry at the target and computes no logarithm. With probabilities the "
        "loss is -p, between -1 and 0. It still falls, but the gradient nearly vanishes where the prediction is worst.",
        cure="Use F.log_softmax before nll_loss, or F.cross_entropy on the logits, which does both.",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1]], requires_grad=True)
            loss = F.nll_loss(F.log_softmax(logits, dim=1), torch.tensor([0]))
            loss.backward()
            print(loss.detach(), logits.grad)
        """,
        symptoms=(
            "loss negative",
            "nll negative",
            "cross_entropy negative",
            "cross entropy negative",
            "loss 負",
            "loss 负",
            "損失 負數",
            "损失 负数",
        ),
        related=("double-softmax", "underflow"),
        in_training="The loss is negative, and approaches -1. Training is slow at first, and stops early on samples "
        "that are badly wrong.",
        run_finds="gradcli why --run train.py names the line of the loss and the line of the softmax.",
    ),
    Mistake(
        "softmax-over-batch",
        "softmax along the batch instead of the classes",
        program="""
            logits = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
            p = torch.softmax(logits, dim=0)  # <--
            print(p.sum(dim=1))
        """,
        cause="dim is the dimension whose entries add up to 1. dim=0 is the batch: each sample's probabilities then "
        "depend on the other samples, and do not add up to 1. In attention the wrong dim normalises over the queries "
        "instead of the keys.",
        cure="Use dim=-1 where the classes (or keys) come last, dim=1 for [N, C, H, W].",
        cured="""
            logits = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
            p = torch.softmax(logits, dim=-1)
            print(p.sum(dim=1))
        """,
        symptoms=("softmax sum one", "probabilities sum one", "softmax dimension"),
        related=("softmax-dim", "sequence-target"),
        in_training="The loss falls a little and stays; predictions of the same sample change with the batch it is in, "
        "and with a batch of one all probabilities are 1.",
        run_finds="gradcli why --run does not look for this: a softmax over any dimension can be meant. Print "
        "p.sum(dim=-1), which must be 1.",
    ),
    Mistake(
        "one-class",
        "cross_entropy with one output has loss 0 and gradient 0",
        program="""
            z = torch.tensor([[0.3], [-2.0]], requires_grad=True)
            loss = F.cross_entropy(z, torch.tensor([0, 0]))  # <--
            loss.backward()
            print(loss.detach(), z.grad)
        """,
        cause="Softmax over one class is always 1, and its logarithm 0, whatever the network says. A network with one "
        "output is meant for yes or no, and needs a binary loss.",
        cure="Use F.binary_cross_entropy_with_logits with a float target of the same shape, or two outputs in the last "
        "layer.",
        cured="""
            z = torch.tensor([[0.3], [-2.0]], requires_grad=True)
            loss = F.binary_cross_entropy_with_logits(z, torch.tensor([[0.0], [0.0]]))
            loss.backward()
            print(loss.detach(), z.grad)
        """,
        symptoms=(
            "loss zero",
            "loss always zero",
            "loss 零",
        ),
        related=("class-range", "double-softmax", "target-size"),
        in_training="The loss is exactly 0 from the first step on, and accuracy stays where it was. A target of 1 would "
        "stop with an error.",
        run_finds="gradcli why --run does not look for this: print the shape of the logits. One column needs "
        "binary_cross_entropy_with_logits.",
    ),
    Mistake(
        "masked-row",
        "a row that is masked as a whole: softmax of nothing but -inf is nan",
        program="""
            scores = torch.zeros(2, 2, requires_grad=True)
            keep = torch.tensor([[True, True], [False, False]])
            p = torch.softmax(scores.masked_fill(~keep, -torch.inf), dim=1)  # <--
            p[:, 0].sum().backward()
            print(p.detach(), scores.grad)
        """,
        cause="softmax divides by the sum of the exponentials, and exp(-inf) is 0: the second row is 0/0. It stands for a "
        "query that may look at nothing: an empty sentence, padding on the left together with a causal mask. One nan "
        "row reaches all weights through the loss.",
        cure="Mask with a large negative number instead, torch.finfo(scores.dtype).min: the row is then uniform, and "
        "its loss is ignored. Or let each row keep one entry, or set such rows to 0 afterwards with torch.where, the "
        "input made harmless before the softmax too.",
        cured="""
            scores = torch.zeros(2, 2, requires_grad=True)
            keep = torch.tensor([[True, True], [False, False]])
            least = torch.finfo(scores.dtype).min
            p = torch.softmax(scores.masked_fill(~keep, least), dim=1)
            p[:, 0].sum().backward()
            print(p.detach(), scores.grad)
        """,
        symptoms=("attention nan", "mask nan", "masked softmax nan", "softmax nan", "注意力 nan"),
        related=("not-a-number", "nan-where", "ignored-targets"),
        in_training="The loss is nan at the first batch with such a row, often after many good ones, and all weights "
        "are nan from the next step on.",
        run_finds="gradcli why --run train.py names the line of the softmax of a row of nothing but -inf, once the "
        "loss or a gradient is nan.",
    ),
    Mistake(
        "sampled",
        "sample() has no gradient; rsample() has",
        program="""
            mean = torch.tensor(1.0, requires_grad=True)
            z = torch.distributions.Normal(mean, 1.0).sample()  # <--
            z.backward()
        """,
        cause="sample() draws under no_grad: the number that comes out has no history. rsample() computes mean + scale * "
        "noise, so the gradient flows to mean and scale (the reparametrisation of variational autoencoders). The result of "
        "torch.normal(mean, std) has a history, but its gradient by mean and std is 0.",
        cure="Use rsample(), in place of torch.normal(mean, std) too, or mean + std * torch.randn_like(std) of a tensor std. "
        "Distributions over classes have none: use the loss -dist.log_prob(action) * reward (policy gradient), or "
        "F.gumbel_softmax.",
        cured="""
            mean = torch.tensor(1.0, requires_grad=True)
            z = torch.distributions.Normal(mean, 1.0).rsample()
            z.backward()
            print(mean.grad)
        """,
        fragments=("element 0 of tensors does not require grad and does not have a grad_fn",),
        symptoms=(
            "sample gradient",
            "sampling gradient",
            "normal sample grad none",
            "torch.normal gradient zero",
            "採樣 梯度",
            "采样 梯度",
        ),
        related=("detached", "no-grad", "not-differentiable"),
        in_training="In a VAE the decoder learns and the encoder gets grad None, because the loss reaches the decoder "
        "by another path; alone, backward() stops.",
        run_finds="gradcli why --run train.py names the line with sample() or torch.normal(), if the loss has no graph, or "
        "no gradient through it to the parameters of the distribution.",
    ),
    Mistake(
        "padded-mean",
        "padding counts in the mean",
        program="""
            losses = torch.tensor([[2.0, 4.0], [6.0, 0.0]])
            real = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
            loss = (losses * real).mean()  # <--
            print(loss)
        """,
        cause="The mask sets the loss of the padding to 0, but mean() still divides by all 4 positions instead of the 3 "
        "real ones. The more padding a batch has, the smaller are its loss and its gradient.",
        cure="Divide by the number of real positions: (losses * real).sum() / real.sum(). For classes, "
        "cross_entropy(..., ignore_index=pad) does it. Pooling over time needs the same.",
        cured="""
            losses = torch.tensor([[2.0, 4.0], [6.0, 0.0]])
            real = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
            loss = (losses * real).sum() / real.sum()
            print(loss)
        """,
        symptoms=("padding loss", "padding mean", "mask loss", "填充 loss"),
        related=("reduction", "ignored-targets", "fixed-size"),
        in_training="The loss looks better than it is, and changes with the way samples are put into batches.",
        run_finds="gradcli why --run does not look for this: which positions are padding is known to the program "
        "alone. Compare with the mean over loss[mask].",
    ),
    Mistake(
        "graph-kept",
        "total += loss keeps the graph of every step in memory",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            total = 0
            for step in range(3):
                loss = (w * step) ** 2
                loss.backward()
                total += loss  # <--
            print(total.requires_grad)
        """,
        cause="loss has a history, so the sum has one too: it holds the graph of each step until total is deleted. "
        "backward() frees what the graph saved, but its nodes remain. In validation, where no backward() runs, "
        "all activations of every batch remain too. A list of losses or of outputs does the same.",
        cure="Add the number: total += loss.item(), or total += loss.detach() where waiting for the GPU costs time. Put "
        "outputs into lists with .detach().cpu(), and validate under torch.no_grad().",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            total = 0
            for step in range(3):
                loss = (w * step) ** 2
                loss.backward()
                total += loss.detach()
            print(total.requires_grad, total)
        """,
        symptoms=(
            "memory grows",
            "memory growing",
            "memory increases",
            "memory leak",
            "記憶體 增加",
            "内存 增加",
            "記憶體 不斷 增加",
            "顯存 增加",
            "显存 不断 增加",
            "显存 增加",
        ),
        related=("carried-state", "create-graph-leak", "item-breaks"),
        in_training="Memory grows with every step, slowly in training, quickly in validation, until the GPU is out of memory, "
        "though the first step fits easily. If the very first step does not fit, the batch or the model is too "
        "large instead.",
        run_finds="gradcli why --run train.py does not measure memory; it names the line that adds up three or more losses "
        "whose backward() has run, unless the sum is differentiated later.",
    ),
    Mistake(
        "indexed-grad",
        "w[0].grad is the gradient of a new tensor; w.grad[0] is what you mean",
        program="""
            w = torch.tensor([1.0, 2.0], requires_grad=True)
            (w ** 2).sum().backward()
            print(w[0].grad)  # <--
        """,
        cause="w[0] computes a new tensor each time, and its gradient was never asked for. The gradients of all elements "
        "are in w.grad, which has the shape of w. The same holds for w.T.grad, w.view(-1).grad and "
        "layer.weight[0].grad.",
        cure="Take the gradient first, then the element: w.grad[0].",
        cured="""
            w = torch.tensor([1.0, 2.0], requires_grad=True)
            (w ** 2).sum().backward()
            print(w.grad[0])
        """,
        fragments=("The .grad attribute of a Tensor that is not a leaf Tensor is being accessed",),
        symptoms=("grad none index", "element grad none"),
        related=("non-leaf-grad", "grad-none"),
        in_training="A line that prints or plots single gradients shows None and a warning; training itself is right.",
        run_finds="gradcli why --run train.py names the line that reads w[0], as non-leaf-grad, if the program "
        "stops because its grad is None; PyTorch's own warning names it too.",
    ),
    Mistake(
        "micro-batches",
        "the losses of micro-batches are added, not averaged",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            for batch in torch.tensor([[1.0, 2.0], [3.0, 4.0]]):
                ((w * batch) ** 2).mean().backward()  # <--
            print(w.grad)
        """,
        cause="Gradients add up over the micro-batches, and each loss is a mean over its own. With 2 of them the "
        "gradient is 2 times that of the whole batch, and so is the step.",
        cure="Divide each loss by the number of micro-batches before backward(). If they differ in size, or in the "
        "number of tokens that count, take sums and divide by the total.",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            for batch in torch.tensor([[1.0, 2.0], [3.0, 4.0]]):
                (((w * batch) ** 2).mean() / 2).backward()
            print(w.grad)
        """,
        symptoms=("gradient accumulation", "gradient accumulation loss", "梯度 累積", "梯度 累积"),
        related=("accumulate", "reduction", "learning-rate"),
        in_training="Training with accumulation becomes unstable at a learning rate that worked with the whole batch. Adam "
        "hides most of it, because it divides by the size of the gradient; clipping does not.",
        run_finds="gradcli why --run does not look for this: a sum over micro-batches can be meant. Divide each "
        "loss by their number.",
    ),
    Mistake(
        "clipped-too-late",
        "clipping after the step does nothing",
        program="""
            w = torch.tensor(10.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=1.0)
            (w ** 2).backward()
            optimizer.step()
            nn.utils.clip_grad_norm_([w], max_norm=1.0)  # <--
            print(w.detach())
        """,
        cause="step() has already used the gradient of 20 when it is clipped to 1. Before backward() it would clip the "
        "gradient of the previous step. With GradScaler the gradients are still multiplied by the scale unless "
        "scaler.unscale_(optimizer) comes first.",
        cure="Keep the order backward(), clip_grad_norm_, step().",
        cured="""
            w = torch.tensor(10.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=1.0)
            (w ** 2).backward()
            nn.utils.clip_grad_norm_([w], max_norm=1.0)
            optimizer.step()
            print(w.detach())
        """,
        symptoms=("clipping effect", "clip effect", "梯度 裁剪"),
        related=("exploding", "clip-nonfinite", "zeroed-before-step"),
        in_training="The loss explodes as if there were no clipping.",
        run_finds="gradcli why --run does not look for this: the order must be backward(), clip_grad_norm_(), "
        "step().",
    ),
    Mistake(
        "exploding",
        "a gradient that is multiplied at every step explodes",
        program="""
            w = torch.tensor(2.0, requires_grad=True)
            h = torch.tensor(1.0)
            for step in range(50):
                h = w * h  # <--
            h.backward()
            print(w.grad)
        """,
        cause="Backward multiplies by the slope of each step, here 2, so 50 steps give 2 to the power of 50. An RNN, or "
        "a deep network whose layers enlarge their input, does the same; with slopes below 1 the gradient vanishes.",
        cure="Clip the gradient's norm before the step (nn.utils.clip_grad_norm_), detach the state now and then, "
        "lower the learning rate, and use layers that keep sizes: LSTM or GRU, normalisation, residual connections, "
        "PyTorch's own initialisation. gradcli flow shows the sizes layer by layer.",
        cured="""
            w = torch.tensor(2.0, requires_grad=True)
            h = torch.tensor(1.0)
            for step in range(50):
                h = w * h
            h.backward()
            nn.utils.clip_grad_norm_([w], max_norm=1.0)
            print(w.grad)
        """,
        symptoms=(
            "exploding gradient",
            "exploding gradients",
            "gradient explodes",
            "gradients explode",
            "gradient inf",
            "gradients inf",
            "gradient large",
            "gradients large",
            "loss inf",
            "梯度 爆炸",
        ),
        related=("learning-rate", "saturation", "clip-nonfinite", "clipped-too-late"),
        in_training="The loss falls and suddenly jumps, or is inf and then nan. The norm of the gradients, which "
        "clip_grad_norm_ returns, shows it some steps earlier.",
        run_finds="gradcli why --run does not look for this: print what clip_grad_norm_ returns, the norm of the "
        "gradients. A loss that grows without end is found as learning-rate.",
    ),
    Mistake(
        "clamped",
        "clamp passes no gradient outside its range",
        program="""
            x = torch.tensor([0.5, 3.0], requires_grad=True)
            y = x.clamp(0.0, 1.0)  # <--
            ((y - 0.2) ** 2).sum().backward()
            print(x.grad)
        """,
        cause="Outside the range the result is constant, so its gradient is exactly 0: an output that has left the "
        "range can never return. min, max, relu6 and hardtanh do the same.",
        cure="Use a smooth function for the range, such as sigmoid, or clamp only what is reported. A penalty on what "
        "is outside, F.relu(x - 1) ** 2, brings it back.",
        cured="""
            x = torch.tensor([0.5, 3.0], requires_grad=True)
            y = torch.sigmoid(x)
            ((y - 0.2) ** 2).sum().backward()
            print(x.grad)
        """,
        symptoms=("clamp gradient zero", "clamp gradient", "clip gradient zero"),
        related=("dead-relu", "saturation", "kink"),
        in_training="Some outputs stay at the limit from some step on, and the loss keeps what they contribute.",
        run_finds="gradcli why --run does not look for this: a clamp can be meant. Print the share of elements at "
        "the limit.",
    ),
    Mistake(
        "linear-only",
        "layers without an activation between them are one linear layer",
        program="""
            torch.manual_seed(0)
            net = nn.Sequential(nn.Linear(1, 8), nn.Linear(8, 1))  # <--
            y = net(torch.tensor([[-1.0], [0.0], [1.0]]))
            print(torch.allclose(y[0] + y[2], 2 * y[1]))
        """,
        cause="A linear function of a linear function is linear: A (B x) = (A B) x. However many layers, the network can "
        "only draw a straight line, or a plane.",
        cure="Put an activation between the layers: nn.ReLU(), nn.Tanh(), nn.GELU(). The last layer stays without.",
        cured="""
            torch.manual_seed(0)
            net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
            y = net(torch.tensor([[-1.0], [0.0], [1.0]]))
            print(torch.allclose(y[0] + y[2], 2 * y[1]))
        """,
        symptoms=(
            "network linear",
            "straight line",
            "learn straight line",
            "not learn xor",
            "激活 函數",
            "激活 函数",
        ),
        related=("zero-init", "dead-relu"),
        in_training="The loss stops at that of linear regression; XOR stays at one half.",
        run_finds="gradcli why --run does not look for this: two linear layers in a row can be meant. print(model) "
        "shows whether an activation is missing.",
    ),
    Mistake(
        "distribution-nan",
        "a distribution was given nan",
        program="""
            mean = torch.tensor(0.0).log() * 0  # <--
            policy = torch.distributions.Normal(mean, 1.0)
        """,
        cause="The network's output is nan: it is the first place that checks. The nan itself came earlier, from a weight "
        "that an exploding step made nan, from data with nan, or from a log, a root or a quotient as here.",
        cure="Print the output of the network and its weights one step earlier; clip the gradients, lower the learning "
        "rate, check observations and rewards for nan and inf. A scale must be positive: F.softplus(s) + 1e-4, or "
        "log_std.clamp(-20, 2).exp().",
        cured="""
            mean = torch.tensor(1e-6).log() * 0
            policy = torch.distributions.Normal(mean, 1.0)
            print(policy.mean.abs())
        """,
        fragments=(
            "to satisfy the constraint ..., but found invalid values",
            "The parameter loc has invalid values",
            "The parameter logits has invalid values",
            "probability tensor contains either inf, nan or element < 0",
            "invalid multinomial distribution",
        ),
        related=("not-a-number", "exploding", "masked-row", "anomaly"),
        in_training="Reinforcement learning runs for hours and stops in the policy; a language model stops in "
        "torch.multinomial while it generates.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the "
        "distribution, or gave it the nan.",
    ),
)
