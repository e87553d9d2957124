"""Mistakes in the call of a loss: the wrong kind of input or target, and losses that mean something
else.
"""

from gradcli.catalogue.mistakes.entry import Mistake, Vague

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
        cause="Squaring the norm undoes its root and leaves the sum. F.mse_loss divides by the number of elements, so "
        "loss and gradient differ by that factor; for one element they agree.",
        cure="Use F.mse_loss for the mean and F.mse_loss(..., reduction='sum') for the squared norm; each needs a "
        "learning rate of its own.",
        cured="""
            pred = torch.tensor([3.0, 5.0], requires_grad=True)
            target = torch.tensor([1.0, 1.0])
            loss = F.mse_loss(pred, target)
            loss.backward()
            print(loss.detach(), pred.grad)
        """,
        symptoms=("norm mse different",),
        related=("reduction", "nan-sqrt"),
        in_training="The same learning rate that works with mse_loss diverges, because the gradient is larger by the "
        "number of elements.",
        run_finds="gradcli why --run does not look for this: both are losses one may want. gradcli grad --expect "
        "names the factor.",
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
        cause="On paper the gradient of the sum of squares is 2 (pred - target) = [2, 4, 6]. PyTorch's losses take "
        "the mean by default, so each gradient is a third of that.",
        cure="Pass reduction='sum' to get the numbers on paper, or add the factor 1/n to the formula on paper.",
        cured="""
            pred = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
            loss = F.mse_loss(pred, torch.zeros(3), reduction="sum")
            loss.backward()
            print(pred.grad)
        """,
        symptoms=(
            "loss depends batch size",
            "gradient factor",
            "gradient depends batch size",
        ),
        related=("squared-norm", "kl-reduction", "fixed-size"),
        in_training="Gradients differ from those on paper by the size of the batch, and the best learning rate changes "
        "with it.",
        run_finds="gradcli why --run does not look for this: both are losses one may want. gradcli grad --expect "
        "names the factor.",
    ),
    Mistake(
        "fixed-size",
        "a size written as a number is wrong for the next batch",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            for batch in torch.tensor([1.0, 2.0, 3.0]).split(2):
                loss = ((w * batch) ** 2).sum() / 2  # <--
                print(torch.autograd.grad(loss, w)[0])
        """,
        cause="The sum over a batch is divided by 2, which is right for the first batch. The last one has one sample, "
        "so its loss and its gradient are half of what they should be.",
        cure="Take the size from the tensor: len(batch), batch.shape[1], batch.numel(), or call mean().",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            for batch in torch.tensor([1.0, 2.0, 3.0]).split(2):
                loss = ((w * batch) ** 2).sum() / len(batch)
                print(torch.autograd.grad(loss, w)[0])
        """,
        related=("reduction", "size-mismatch"),
        in_training="The last batch of an epoch is smaller, and its loss is smaller too or its reshape fails.",
        run_finds="gradcli why --run does not look for this: it does not know the size of the batch. Search the "
        "program for the number.",
    ),
    Mistake(
        "kl-reduction",
        "the mean of kl_div is not the KL divergence",
        program="""
            log_q = torch.log(torch.tensor([[0.5, 0.5]]))
            p = torch.tensor([[0.25, 0.75]])
            print(F.kl_div(log_q, p))  # <--
        """,
        cause="The KL divergence is a sum over the classes. The default, reduction='mean', divides by the number of "
        "classes too.",
        cure="Pass reduction='batchmean': the sum over the classes, averaged over the batch.",
        cured="""
            log_q = torch.log(torch.tensor([[0.5, 0.5]]))
            p = torch.tensor([[0.25, 0.75]])
            print(F.kl_div(log_q, p, reduction="batchmean"))
        """,
        fragments=(
            "reduction: 'mean' divides the total loss by both the batch size and the support size",
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition",
        ),
        symptoms=(
            "kl_div negative",
            "kl negative",
            "kl loss negative",
        ),
        related=("reduction",),
        in_training="The KL term is smaller than it should be by the number of classes, so distillation or a VAE hardly "
        "feels it.",
        run_finds="gradcli why --run does not look for this: PyTorch's own warning names the line.",
    ),
    Mistake(
        "double-softmax",
        "cross_entropy contains a softmax, but was given probabilities",
        program="""
            a = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            loss = F.cross_entropy(torch.softmax(a, dim=0), torch.tensor(0))  # <--
            loss.backward()
            print(loss.detach(), a.grad)
        """,
        cause="cross_entropy takes logits and applies log_softmax itself. Applied to probabilities, which are between "
        "0 and 1, it flattens them: the loss never gets near 0 and the gradient is small. nll_loss of probabilities "
        "is even negative.",
        cure="Pass the logits. Use softmax only to display probabilities.",
        cured="""
            a = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            loss = F.cross_entropy(a, torch.tensor(0))
            loss.backward()
            print(loss.detach(), a.grad)
        """,
        symptoms=(
            "softmax cross_entropy",
            "softmax twice",
            "cross_entropy loss not change",
            "cross_entropy not decrease",
            "loss decrease",
        ),
        related=("sigmoid-twice", "probabilities", "underflow"),
        in_training="The loss falls slowly and stays well above 0 even on the training data, although accuracy may be "
        "good.",
        run_finds="gradcli why --run train.py names the line of cross_entropy and that of the softmax whose result "
        "it was given.",
    ),
    Mistake(
        "sigmoid-twice",
        "binary_cross_entropy_with_logits contains a sigmoid, but was given probabilities",
        program="""
            z = torch.tensor(4.0, requires_grad=True)
            loss = F.binary_cross_entropy_with_logits(torch.sigmoid(z), torch.tensor(1.0))  # <--
            loss.backward()
            print(loss.detach(), z.grad)
        """,
        cause="The loss applies the sigmoid itself. A second sigmoid maps the range 0 to 1 to 0.5 to 0.73, so even a "
        "perfect prediction has a loss of 0.31.",
        cure="Pass the logits, or use binary_cross_entropy for probabilities.",
        cured="""
            z = torch.tensor(4.0, requires_grad=True)
            loss = F.binary_cross_entropy_with_logits(z, torch.tensor(1.0))
            loss.backward()
            print(loss.detach(), z.grad)
        """,
        symptoms=(
            "sigmoid twice",
            "sigmoid bce_with_logits",
            "bce loss not change",
        ),
        related=("double-softmax", "saturation"),
        in_training="The loss stays between 0.31 and 1.31 whatever happens, and predictions stay close to 0.5.",
        run_finds="gradcli why --run train.py names the line of the loss and that of the sigmoid whose result it "
        "was given.",
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
        cause="cross_entropy treats a target in the shape of the logits as probabilities and does not check that they "
        "add up to 1. With a sum of 2 the loss is that of two samples together, and its gradient is 2 p - target.",
        cure="Divide the target by its sum. If several labels can be true at once, use "
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
        in_training="The loss has a positive minimum that it cannot leave; with labels that may be true together, the "
        "network spreads its probability over them.",
        run_finds="gradcli why --run does not look for this: any weights are allowed as a target. Print "
        "target.sum(dim=1).",
    ),
    Mistake(
        "class-target",
        "class indices must be integers of type int64",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([0.0, 1.0])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="A target of shape [batch] contains the class of each row: an index, not a quantity. It was written "
        "with decimal points, or read from a file as float.",
        cure="Use target.long(), or write torch.tensor([0, 1]).",
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
        in_training="The first batch fails: labels were read by NumPy or pandas as float, or the data set returns them as"
        " float32 or int32.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the target.",
    ),
    Mistake(
        "one-hot-target",
        "a one-hot target must be floating point",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([[1, 0, 0], [0, 1, 0]])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="A target in the shape of the logits contains probabilities, which are floating-point numbers. "
        "F.one_hot returns integers.",
        cure="Use target.float(), or the class indices themselves: target.argmax(dim=1).",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([[1, 0, 0], [0, 1, 0]])
            loss = F.cross_entropy(logits, target.float())
            print(loss)
        """,
        fragments=("Expected floating point type for target with class probabilities, got",),
        related=("class-target", "probabilities"),
        in_training="The first batch fails after labels were one-hot encoded as for another library.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the target.",
    ),
    Mistake(
        "class-shape",
        "class indices must have shape [batch], not [batch, 1]",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([[0], [1]])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="One index for each row is a vector. A column, as read from a table, looks like several targets for "
        "each sample.",
        cure="Use target.squeeze(1).",
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
        in_training="The first batch fails: labels come as a column of a table, or a data set returns [label].",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the target.",
    ),
    Mistake(
        "class-range",
        "a class index is outside 0 to C - 1",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([1, 3])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="Three classes have the indices 0, 1 and 2. Labels that count from 1, or a last layer that is too "
        "small, lead to an index that is too large. On a GPU the same mistake is a device-side assert.",
        cure="Count from 0, or give the last layer as many outputs as there are classes.",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([1, 3]) - 1
            loss = F.cross_entropy(logits, target)
            print(loss)
        """,
        fragments=(
            "Target 3 is out of bounds",
            "Class values must be smaller than num_classes",
            "Assertion t >= 0 && t < n_classes failed",
            "Assertion cur_target >= 0 && cur_target < n_classes failed",
            "CUDA error: device-side assert triggered",
            "nll_loss ... Assertion t >= 0 && t < n_classes failed",
        ),
        symptoms=(
            "device-side assert",
            "cuda assert",
            "device side assert",
        ),
        related=("class-target",),
        in_training="On the CPU the first batch with the label fails. On a GPU a later line fails with a device-side "
        "assert, and every call after it: run once on the CPU to see the true place.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the target.",
    ),
    Mistake(
        "batch-size",
        "logits and targets have different batch sizes",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1]])
            target = torch.tensor([0, 1])  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="The first dimension counts the samples: it is 1 for the logits and 2 for the target. Often a reshape "
        "has mixed batch and classes, or the last batch of an epoch is smaller.",
        cure="Print both shapes: they must be [batch, classes] and [batch].",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([0, 1])
            loss = F.cross_entropy(logits, target)
            print(loss)
        """,
        fragments=("Expected input batch_size (1) to match target batch_size (2)",),
        related=("class-target", "class-shape"),
        in_training="The first batch fails after x.view(-1, n) with a wrong n, or the last one, where a size was written "
        "as a number.",
        run_finds="gradcli why --run train.py names the lines that made the logits and the target, with both shapes.",
    ),
    Mistake(
        "ignored-targets",
        "every target is ignored, and the mean of nothing is nan",
        program="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([-100, -100])
            print(F.cross_entropy(logits, target))  # <--
        """,
        cause="-100 marks targets that do not count, for example padding. The mean divides by the number of targets "
        "that count, and 0/0 is nan.",
        cure="Skip such a batch, or take the sum and divide by the count, but at least by 1.",
        cured="""
            logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]])
            target = torch.tensor([-100, -100])
            count = (target != -100).sum().clamp(min=1)
            print(F.cross_entropy(logits, target, reduction="sum") / count)
        """,
        symptoms=(
            "cross_entropy nan",
            "ignore_index nan",
        ),
        related=("class-target", "not-a-number"),
        in_training="The loss is nan for single batches, those in which every token is padding or every label is masked.",
        run_finds="gradcli why --run train.py names cross_entropy where all its targets are ignored and the result is nan.",
    ),
    Mistake(
        "bce-range",
        "binary_cross_entropy needs probabilities, but was given logits",
        program="""
            z = torch.tensor([2.0, -1.0])
            loss = F.binary_cross_entropy(z, torch.tensor([1.0, 0.0]))  # <--
        """,
        cause="The loss computes log p and log (1 - p), so p must be between 0 and 1. The output of the last layer is "
        "not limited to that range.",
        cure="Use binary_cross_entropy_with_logits: it takes the output as it is, and is more accurate than a "
        "separate sigmoid.",
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
        in_training="The first batch fails, or on a GPU a device-side assert comes later. After a sigmoid it can still "
        "come: then the prediction is nan.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the input of the "
        "loss.",
    ),
    Mistake(
        "bce-dtype",
        "the target of a binary loss must be floating point",
        program="""
            p = torch.tensor([0.9, 0.2])
            target = torch.tensor([1, 0])  # <--
            loss = F.binary_cross_entropy(p, target)
        """,
        cause="The target is a probability here, but 1 and 0 written without a decimal point are integers.",
        cure="Use target.float().",
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
                (
                    "binary_cross_entropy",
                    "binary_cross_entropy_with_logits",
                    "BCELoss",
                    "BCEWithLogitsLoss",
                ),
            ),
        ),
        related=("class-target", "bce-range"),
        in_training="The first batch fails: the labels of the data set are integers.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the target.",
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
        cause="[3] and [3, 1] broadcast to [3, 3]: each prediction is compared with each target. The prediction is "
        "perfect, but the loss is not 0. pred - target does the same without a warning.",
        cure="Give both the same shape: target.squeeze(1), pred.unsqueeze(1) or reshape.",
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
        symptoms=(
            "broadcast loss",
            "predict mean",
            "output mean",
            "output not change",
        ),
        related=("class-shape", "size-mismatch"),
        in_training="The loss falls to the variance of the targets and stays there: the network predicts their mean for "
        "every input.",
        run_finds="gradcli why --run train.py names the line of the loss or of the difference and both shapes, also "
        "for pred - target, where PyTorch does not warn.",
    ),
    Mistake(
        "target-size",
        "a binary loss needs a target of the same shape as its input",
        program="""
            z = torch.tensor([2.0, -1.0])
            target = torch.tensor([[1.0], [0.0]])  # <--
            loss = F.binary_cross_entropy_with_logits(z, target)
        """,
        cause="[2] and [2, 1] would broadcast to [2, 2], which is never intended. These losses raise an error where "
        "others broadcast. An input [batch, 2] with a target [batch] is a different problem: the network has one "
        "output for each class, and the loss expects one for each label.",
        cure="Give both the same shape: target.squeeze(1), or z.unsqueeze(1). Two classes: use one output in the last "
        "layer, and squeeze it. One of many classes: cross_entropy, with class indices as the target. Several labels "
        "at once: a target of 0 and 1 in the shape of the input, for example F.one_hot(target, classes).float().",
        cured="""
            z = torch.tensor([2.0, -1.0])
            target = torch.tensor([[1.0], [0.0]])
            loss = F.binary_cross_entropy_with_logits(z, target.squeeze(1))
            print(loss)
        """,
        fragments=(
            "Target size ... must be the same as input size",
            "Target and input must have the same number of elements",
            "that is different to the input size ... is deprecated. Please ensure they have the same size",
            _TARGET_SIZE,
        ),
        related=("class-shape",),
        in_training="The first batch fails: the network returns [batch, 1] and the data set [batch].",
        run_finds="gradcli why --run train.py stops at the same error and names both shapes.",
    ),
    Mistake(
        "moving-target",
        "the optimizer changes the target too, so the loss falls but nothing is learnt",
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
        cause="A loss has a gradient with respect to its target as well as its prediction, and the optimizer updates "
        "both. They meet half way: the loss is 0, but w is 2 instead of 3. Data and targets are not parameters.",
        cure="Pass only the parameters to the optimizer, and create targets without requires_grad. In gradcli "
        "descend, --wrt w selects what is updated.",
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
        in_training="The loss falls to 0 quickly and predictions are wrong: what was to be predicted has moved.",
        run_finds="gradcli why --run train.py names the loss of Q-learning whose target has a graph to the same network; "
        "otherwise it reports nothing, because the program may want to optimise its inputs.",
    ),
)
