"""Mistakes in the call of a loss: the wrong kind of input or target, and losses that mean something else."""

from gradcli.tables.mistakes.entry import Mistake, Vague

_TARGET_SIZE = "Using a target size ... that is different to the input size"

LOSSES = (
    Mistake(
        "squared-norm",
        "the squared norm is the SUM of squares, mse_loss their MEAN",
        program="""
            pred = torch.tensor([3.0, 5.0], requires_grad=True)
            target = torch.tensor([1.0, 1.0])
            loss = torch.norm(target - pred, 2).pow(2)  # <--
            loss.backward()
            print(loss.detach(), pred.grad)
        """,
        cause="Squaring the norm undoes its root and leaves the sum. F.mse_loss divides it by the number of elements, so "
        "loss and gradient differ by that factor; for one element they agree.",
        cure="F.mse_loss for the mean, F.mse_loss(..., reduction='sum') for the squared norm; a learning rate belongs to "
        "one of them.",
        cured="""
            pred = torch.tensor([3.0, 5.0], requires_grad=True)
            target = torch.tensor([1.0, 1.0])
            loss = F.mse_loss(pred, target)
            loss.backward()
            print(loss.detach(), pred.grad)
        """,
        related=("reduction", "nan-sqrt"),
    ),
    Mistake(
        "reduction",
        "the mean divides the gradient by the number of elements",
        program="""
            pred = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
            loss = F.mse_loss(pred, torch.zeros(3))  # <--
            loss.backward()
            print(pred.grad)
        """,
        cause="On paper the gradient of the sum of squares is 2 (pred - target) = [2, 4, 6]. Losses take the mean unless "
        "told otherwise, and so each gradient is a third of that.",
        cure="Say reduction='sum' to get the paper's numbers, or put 1/n into the formula on paper.",
        cured="""
            pred = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
            loss = F.mse_loss(pred, torch.zeros(3), reduction="sum")
            loss.backward()
            print(pred.grad)
        """,
        related=("squared-norm", "kl-reduction"),
    ),
    Mistake(
        "kl-reduction",
        "the mean of kl_div is not the KL divergence",
        program="""
            log_q = torch.log(torch.tensor([[0.5, 0.5]]))
            p = torch.tensor([[0.25, 0.75]])
            print(F.kl_div(log_q, p))  # <--
        """,
        cause="The KL divergence is a sum over the classes. reduction='mean', the default, divides it by the number of "
        "classes too.",
        cure="Say reduction='batchmean': the sum over the classes, the mean over the batch.",
        cured="""
            log_q = torch.log(torch.tensor([[0.5, 0.5]]))
            p = torch.tensor([[0.25, 0.75]])
            print(F.kl_div(log_q, p, reduction="batchmean"))
        """,
        fragments=(
            "reduction: 'mean' divides the total loss by both the batch size and the support size",
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition",
        ),
        related=("reduction",),
    ),
    Mistake(
        "double-softmax",
        "cross_entropy contains a softmax, and got probabilities",
        program="""
            a = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            loss = F.cross_entropy(torch.softmax(a, dim=0), torch.tensor(0))  # <--
            loss.backward()
            print(loss.detach(), a.grad)
        """,
        cause="cross_entropy takes logits and applies log_softmax itself. Applied to probabilities, which lie between 0 and "
        "1, it flattens them: the loss never gets near 0 and the gradient is small. nll_loss of probabilities is even "
        "negative.",
        cure="Pass the logits. Use softmax only to show probabilities.",
        cured="""
            a = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            loss = F.cross_entropy(a, torch.tensor(0))
            loss.backward()
            print(loss.detach(), a.grad)
        """,
        related=("sigmoid-twice", "probabilities", "underflow"),
    ),
    Mistake(
        "sigmoid-twice",
        "binary_cross_entropy_with_logits contains a sigmoid, and got probabilities",
        program="""
            z = torch.tensor(4.0, requires_grad=True)
            loss = F.binary_cross_entropy_with_logits(torch.sigmoid(z), torch.tensor(1.0))  # <--
            loss.backward()
            print(loss.detach(), z.grad)
        """,
        cause="The loss applies the sigmoid itself. A second one squeezes 0 to 1 into 0.5 to 0.73, so even a perfect "
        "prediction keeps a loss of 0.31.",
        cure="Pass the logits, or use binary_cross_entropy for probabilities.",
        cured="""
            z = torch.tensor(4.0, requires_grad=True)
            loss = F.binary_cross_entropy_with_logits(z, torch.tensor(1.0))
            loss.backward()
            print(loss.detach(), z.grad)
        """,
        related=("double-softmax", "saturation"),
    ),
    Mistake(
        "probabilities",
        "target probabilities that do not add up to 1",
        program="""
            a = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            target = torch.tensor([1.0, 1.0, 0.0])
            loss = F.cross_entropy(a, target)  # <--
            loss.backward()
            print(loss.detach(), a.grad)
        """,
        cause="cross_entropy takes a target in the shape of the logits as probabilities and does not check that they add up "
        "to 1. With a sum of 2 the loss is that of two samples together, and its gradient is 2 p - target.",
        cure="Divide the target by its sum. For several labels that may hold at once use "
        "binary_cross_entropy_with_logits.",
        cured="""
            a = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            target = torch.tensor([1.0, 1.0, 0.0])
            target = target / target.sum()
            loss = F.cross_entropy(a, target)
            loss.backward()
            print(loss.detach(), a.grad)
        """,
        related=("double-softmax", "one-hot-target"),
    ),
    Mistake(
        "class-target",
        "class indices must be whole numbers of type int64",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([0.0, 1.0])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="A target of shape [batch] names the class of each row: a position, not a quantity. It was written with "
        "points, or read from a file as float.",
        cure="target.long(), or write torch.tensor([0, 1]).",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([0, 1])
            loss = F.cross_entropy(logits, target)
            print(loss)
        """,
        fragments=(
            "expected target dtype to be ... but got",
            "expected scalar type Long but found",
            "Expected object of scalar type Long but got scalar type ... for argument 'target'",
            "Expected object of type ... LongTensor but found type ... for argument 'target'",
            "nll_loss_forward_reduce_cuda_kernel_2d_index not implemented for",
            "nll_loss_out_frame not implemented for",
        ),
        related=("one-hot-target", "class-shape", "class-range", "batch-size"),
    ),
    Mistake(
        "one-hot-target",
        "a one-hot target must be floating",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([[1, 0, 0], [0, 1, 0]])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="A target in the shape of the logits holds probabilities, and these are floating-point numbers. F.one_hot "
        "returns integers.",
        cure="target.float(), or the class indices themselves: target.argmax(dim=1).",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([[1, 0, 0], [0, 1, 0]])
            loss = F.cross_entropy(logits, target.float())
            print(loss)
        """,
        fragments=("Expected floating point type for target with class probabilities, got",),
        related=("class-target", "probabilities"),
    ),
    Mistake(
        "class-shape",
        "class indices want the shape [batch], not [batch, 1]",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([[0], [1]])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="One index for each row is a vector. A column, as it comes out of a table, looks like several targets for "
        "each sample.",
        cure="target.squeeze(1).",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([[0], [1]])
            loss = F.cross_entropy(logits, target.squeeze(1))
            print(loss)
        """,
        fragments=(
            "0D or 1D target tensor expected, multi-target not supported",
            "1D target tensor expected, multi-target not supported",
            "multi-target not supported",
        ),
        related=("class-target", "broadcast"),
    ),
    Mistake(
        "class-range",
        "a class index outside 0 to C - 1",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([1, 3])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="Three classes have the indices 0, 1 and 2. Labels that count from 1, or a last layer that is too small, give "
        "an index too many. On a GPU the same slip is a device-side assert.",
        cure="Count from 0, or give the last layer as many outputs as there are classes.",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([1, 3]) - 1
            loss = F.cross_entropy(logits, target)
            print(loss)
        """,
        fragments=(
            "Target 3 is out of bounds",
            "Assertion t >= 0 && t < n_classes failed",
            "Assertion cur_target >= 0 && cur_target < n_classes failed",
            "CUDA error: device-side assert triggered",
            "nll_loss ... Assertion t >= 0 && t < n_classes failed",
        ),
        related=("class-target",),
    ),
    Mistake(
        "batch-size",
        "logits and targets are not equally many",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1]])
            target = torch.tensor([0, 1])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="The first dimension counts the samples, and it is 1 in the logits and 2 in the target. Often a reshape has "
        "mixed batch and classes, or the last batch of an epoch is smaller.",
        cure="Print both shapes: [batch, classes] and [batch] belong together.",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([0, 1])
            loss = F.cross_entropy(logits, target)
            print(loss)
        """,
        fragments=("Expected input batch_size (1) to match target batch_size (2)",),
        related=("class-target", "class-shape"),
    ),
    Mistake(
        "ignored-targets",
        "every target is ignored, and the mean of nothing is nan",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([-100, -100])
            print(F.cross_entropy(logits, target))  # <--
        """,
        cause="-100 marks targets that do not count, such as padding. The mean divides by how many do count, and 0/0 is "
        "nan.",
        cure="Skip such a batch, or take the sum and divide by the count, at least 1.",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([-100, -100])
            count = (target != -100).sum().clamp(min=1)
            print(F.cross_entropy(logits, target, reduction="sum") / count)
        """,
        related=("class-target", "not-a-number"),
    ),
    Mistake(
        "bce-range",
        "binary_cross_entropy wants probabilities, and got logits",
        program="""
            z = torch.tensor([2.0, -1.0])
            loss = F.binary_cross_entropy(z, torch.tensor([1.0, 0.0]))  # <--
        """,
        cause="The loss takes log p and log (1 - p), so p must lie between 0 and 1. The last layer's output does not.",
        cure="binary_cross_entropy_with_logits takes the output as it is, and is more exact than a sigmoid before.",
        cured="""
            z = torch.tensor([2.0, -1.0])
            loss = F.binary_cross_entropy_with_logits(z, torch.tensor([1.0, 0.0]))
            print(loss)
        """,
        fragments=(
            "all elements of input should be between 0 and 1",
            "all elements of target should be between 0 and 1",
            "Assertion x >= 0. && x <= 1. failed. input value should be between 0~1, but got",
            "Assertion input_val >= zero && input_val <= one failed",
        ),
        related=("sigmoid-twice", "saturation"),
    ),
    Mistake(
        "bce-dtype",
        "the target of a binary loss must be floating",
        program="""
            p = torch.tensor([0.9, 0.2])
            target = torch.tensor([1, 0])  # <--
            loss = F.binary_cross_entropy(p, target)
        """,
        cause="The target is a probability here, and 1 and 0 written without points are integers.",
        cure="target.float().",
        cured="""
            p = torch.tensor([0.9, 0.2])
            target = torch.tensor([1, 0])
            loss = F.binary_cross_entropy(p, target.float())
            print(loss)
        """,
        fragments=("Found dtype Long but expected",),
        vague=(
            Vague(
                "result type ... can't be cast to the desired output type",
                ("binary_cross_entropy", "binary_cross_entropy_with_logits", "BCELoss", "BCEWithLogitsLoss"),
            ),
        ),
        related=("class-target", "bce-range"),
    ),
    Mistake(
        "broadcast",
        "a column against a row: the loss compares everything with everything",
        program="""
            pred = torch.tensor([1.0, 2.0, 3.0])
            target = torch.tensor([[1.0], [2.0], [3.0]])
            loss = F.mse_loss(pred, target)  # <--
            print(loss)
        """,
        cause="[3] and [3, 1] broadcast to [3, 3]: each prediction meets each target. The prediction is perfect, the loss is "
        "not 0. pred - target does the same without a warning.",
        cure="Give both one shape: target.squeeze(1), pred.unsqueeze(1) or reshape.",
        cured="""
            pred = torch.tensor([1.0, 2.0, 3.0])
            target = torch.tensor([[1.0], [2.0], [3.0]])
            loss = F.mse_loss(pred, target.squeeze(1))
            print(loss)
        """,
        fragments=(
            _TARGET_SIZE,
            "This will likely lead to incorrect results due to broadcasting",
        ),
        related=("class-shape", "size-mismatch"),
    ),
    Mistake(
        "target-size",
        "a binary loss refuses a target of another shape",
        program="""
            z = torch.tensor([2.0, -1.0])
            target = torch.tensor([[1.0], [0.0]])  # <--
            loss = F.binary_cross_entropy_with_logits(z, target)
        """,
        cause="[2] against [2, 1] would broadcast to [2, 2], which is never meant. These losses refuse where others "
        "broadcast. An input [batch, 2] against a target [batch] is another matter: a network with one output for each class, "
        "and a loss that expects one for each label.",
        cure="Give both one shape: target.squeeze(1), or z.unsqueeze(1). Two classes: let the last layer have one output, and "
        "squeeze it. One of many classes: cross_entropy, with class indices as the target. Several labels at once: a target of "
        "0 and 1 in the shape of the input, such as F.one_hot(target, classes).float().",
        cured="""
            z = torch.tensor([2.0, -1.0])
            target = torch.tensor([[1.0], [0.0]])
            loss = F.binary_cross_entropy_with_logits(z, target.squeeze(1))
            print(loss)
        """,
        fragments=(
            "Target size ... must be the same as input size",
            "that is different to the input size ... is deprecated. Please ensure they have the same size",
            _TARGET_SIZE,
        ),
        related=("class-shape",),
    ),
    Mistake(
        "moving-target",
        "the optimizer moves the target too, so the loss falls and nothing is learnt",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            target = torch.tensor(3.0, requires_grad=True)
            optimizer = torch.optim.SGD([w, target], lr=0.25)  # <--
            for step in range(30):
                optimizer.zero_grad()
                F.mse_loss(w, target).backward()
                optimizer.step()
            print(w.detach(), target.detach())
        """,
        cause="A loss has a gradient by its target as well as by its prediction, and the optimizer takes a step along both. "
        "They meet half way: the loss is 0, but w is 2 and not 3. Data and targets are no parameters.",
        cure="Give the optimizer the parameters alone, and make targets without requires_grad. In gradcli descend, --wrt w "
        "says what moves.",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            target = torch.tensor(3.0)
            optimizer = torch.optim.SGD([w], lr=0.25)
            for step in range(30):
                optimizer.zero_grad()
                F.mse_loss(w, target).backward()
                optimizer.step()
            print(w.detach(), target)
        """,
        related=("optimizer-leaf", "learning-rate"),
    ),
)
