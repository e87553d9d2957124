"""Mistakes of indices, sizes and layouts: what an operation or a layer expects of its input."""

from gradcli.catalogue.mistakes.entry import Mistake, Vague

SIZES = (
    Mistake(
        "index-dtype",
        "indices must be integers",
        program="""
            words = nn.Embedding(10, 3)
            tokens = torch.tensor([1.0, 2.0])  # <--
            y = words(tokens)
        """,
        cause="An index counts rows: a row 1.5 does not exist, and a floating-point tensor has no derivative as an "
        "index. Numbers written with a decimal point, read from a file or padded with torch.zeros are float32.",
        cure="Convert where the data is created: tokens.long(). x[i], gather, scatter, index_select, one_hot and "
        "class targets need the same.",
        cured="""
            words = nn.Embedding(10, 3)
            tokens = torch.tensor([1.0, 2.0]).long()
            print(words(tokens).shape)
        """,
        fragments=(
            "Expected tensor for argument 'indices' to have one of the following scalar types",
            "Expected tensor for argument 'indices' to have scalar type Long",
            "tensors used as indices must be long, int, byte or bool tensors",
            "tensors used as indices must be long, byte or bool tensors",
            "Expected dtype int32/int64 for index",
            "Expected dtype int64 for index",
            "one_hot is only applicable to index tensor",
        ),
        symptoms=("index float", "embedding float"),
        related=("index-range", "class-target", "int-dtype"),
        in_training="The first batch stops at the embedding or at the indexing, often after a collate function that "
        "pads with floats.",
        run_finds="gradcli why --run train.py names the line that made the floating-point indices.",
    ),
    Mistake(
        "index-range",
        "an index is larger than the table",
        program="""
            words = nn.Embedding(10, 3)  # <--
            tokens = torch.tensor([1, 10])
            y = words(tokens)
        """,
        cause="A table of 10 rows has the indices 0 to 9. A vocabulary that counts from 1, or that got a padding or "
        "unknown token after the model was made, needs one row more. A position beyond the longest trained sequence "
        "does the same. On a GPU it is a device-side assert, reported at a later line.",
        cure="Compare tokens.max() and tokens.min() with the size of the table. Make it as large as the vocabulary: "
        "nn.Embedding(len(vocab), dim), model.resize_token_embeddings(len(tokenizer)). Run one batch on the CPU for "
        "the right line.",
        cured="""
            words = nn.Embedding(11, 3)
            tokens = torch.tensor([1, 10])
            print(words(tokens).shape)
        """,
        fragments=(
            "index out of range in self",
            "Assertion srcIndex < srcSelectDimSize failed",
            "index out of bounds failed. Assertion index >= -sizes[i] && index < sizes[i]",
            "Class values must be smaller than num_classes",
            "index out of range: Tried to access index ... out of table with ... rows",
        ),
        vague=(
            Vague("is out of bounds for dimension ... with size", ("torch", "tensor", "Tensor")),
        ),
        symptoms=(
            "index range",
            "embedding index range",
            "embedding index",
            "索引 超出 範圍",
            "索引 超出 范围",
        ),
        related=("class-range", "index-dtype"),
        in_training="Some batches work, and the one with the rare token stops.",
        run_finds="gradcli why --run train.py names the line that made the indices, and the table that they are looked up "
        "in.",
    ),
    Mistake(
        "image-target",
        "the target of a segmentation has one class index for each pixel: [N, H, W]",
        program="""
            logits = torch.zeros(2, 3, 4, 4)
            target = torch.zeros(2, 1, 4, 4).long()  # <--
            loss = F.cross_entropy(logits, target)
        """,
        cause="For logits [N, C, H, W] the target is [N, H, W], without a dimension for the channel. Masks are loaded "
        "as images, with a channel of their own (1), or three of them (RGB), or as one-hot planes.",
        cure="target.squeeze(1) for one channel; target.argmax(dim=1) for one-hot planes; for an RGB mask, translate "
        "the colours to class indices when you load it. H and W must be those of the logits: resize masks with "
        "mode='nearest'.",
        cured="""
            logits = torch.zeros(2, 3, 4, 4)
            target = torch.zeros(2, 1, 4, 4).long()
            loss = F.cross_entropy(logits, target.squeeze(1))
            print(loss)
        """,
        fragments=(
            "only batches of spatial targets supported (3D tensors) but got targets of",
            "only batches of spatial targets supported (non-empty 3D tensors) but got targets of size",
            "size mismatch (got input: [2, 3, 4, 4], target: [2, 5, 5]",
            "input and target batch or spatial sizes don't match",
        ),
        related=("class-shape", "sequence-target", "one-hot-target"),
        in_training="The first batch stops at the loss.",
        run_finds="gradcli why --run train.py names this entry and the line of the loss.",
    ),
    Mistake(
        "sequence-target",
        "the classes are not the second dimension of the logits",
        program="""
            logits = torch.zeros(2, 5, 10)  # <--
            target = torch.zeros(2, 5).long()
            loss = F.cross_entropy(logits, target)
        """,
        cause="cross_entropy takes the classes from dimension 1: [N, C, length]. A language model or an RNN gives [N, "
        "length, C], so here 5 positions are taken for 5 classes. If length and C are equal, there is no error, only "
        "a wrong loss.",
        cure="Use logits.transpose(1, 2), or make one long batch: logits.flatten(0, 1) and target.flatten().",
        cured="""
            logits = torch.zeros(2, 5, 10)
            target = torch.zeros(2, 5).long()
            loss = F.cross_entropy(logits.transpose(1, 2), target)
            print(loss)
        """,
        fragments=("Expected target size [2, 10], got [2, 5]",),
        related=("image-target", "batch-size", "class-shape"),
        in_training="The first batch stops at the loss, with the sizes that PyTorch would accept.",
        run_finds="gradcli why --run train.py names this entry and the line of the loss.",
    ),
    Mistake(
        "no-batch-dimension",
        "a dimension that the tensor does not have",
        program="""
            logits = torch.tensor([2.0, 1.0, 0.1])  # <--
            p = F.log_softmax(logits, dim=1)
        """,
        cause="The logits have one dimension, 0, and dim=1 asks for a second. Usually the batch dimension is missing: "
        "squeeze() removed it because the last batch had one sample, one sample was taken out of the dataset, or a "
        "mean removed it.",
        cure="Add the batch with x.unsqueeze(0), write squeeze(1) or squeeze(-1) for the dimension that you mean "
        "instead of squeeze(), and count from the end: dim=-1.",
        cured="""
            logits = torch.tensor([0.0, 0.0, 0.0])
            p = F.log_softmax(logits.unsqueeze(0), dim=1)
            print(p.shape)
        """,
        fragments=("Dimension out of range (expected to be in range of [-1, 0], but got 1)",),
        related=("softmax-dim", "batch-size"),
        in_training="All batches work but the last one of the epoch, or inference on a single sample stops.",
        run_finds="gradcli why --run train.py names this entry and the line that asked for the dimension.",
    ),
    Mistake(
        "truth-of-tensor",
        "a tensor with several elements is neither true nor false",
        program="""
            pred, target = torch.ones(2), torch.zeros(2)
            loss = nn.MSELoss(pred, target)  # <--
        """,
        cause="if, and, or, not and bool arguments ask a tensor for one truth value. Here the loss is a class: its "
        "first arguments are options, which it tests as true or false. The other usual place is if x > 0, where one "
        "element may be positive and another not.",
        cure="Make the loss, then call it: nn.MSELoss()(pred, target), or F.mse_loss(pred, target). For conditions "
        "say which is meant, (x > 0).all() or .any(), or choose element by element with torch.where. Combine masks "
        "with & and |.",
        cured="""
            pred, target = torch.ones(2), torch.zeros(2)
            loss = nn.MSELoss()(pred, target)
            print(loss)
        """,
        fragments=(
            "Boolean value of Tensor with more than one value is ambiguous",
            "bool value of Tensor with more than one value is ambiguous",
            "Boolean value of Tensor with no values is ambiguous",
            "bool value of Variable objects containing non-empty",
        ),
        related=("branch", "not-differentiable", "vmap-branch"),
        in_training="The first step stops: at the loss, or at an if that compares tensors, such as if x in list_of_tensors.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the condition or the call.",
    ),
    Mistake(
        "one-element",
        "only a tensor with one element can become a number",
        program="""
            losses = torch.tensor([0.5, 0.25])
            print(losses.item())  # <--
        """,
        cause="item(), float() and int() return one number, and this tensor has two. The loss was computed with "
        "reduction='none', or the tensor is a batch. torch.tensor([a, b]) of tensors with several elements gives the "
        "same error.",
        cure="Reduce first: losses.mean().item(). For all numbers use tolist(); to put tensors together use "
        "torch.stack, which also keeps the graph.",
        cured="""
            losses = torch.tensor([0.5, 0.25])
            print(losses.mean().item())
        """,
        fragments=(
            "a Tensor with 2 elements cannot be converted to Scalar",
            "item() only supports one-element tensors",
            "only one element tensors can be converted to Python scalars",
            "only tensors or arrays with one element can be converted",
        ),
        vague=(
            Vague("only <length-1|size-1> arrays can be converted to Python scalars", alone=False),
        ),
        related=("item-breaks", "non-scalar", "tensor-copy"),
        in_training="The line that prints or adds up the loss stops, or the one that makes a tensor of a list.",
        run_finds="gradcli why --run train.py names this entry and the line that asked for the number.",
    ),
    Mistake(
        "batchnorm-one",
        "batch normalisation of one sample: its variance is 0",
        program="""
            norm = nn.BatchNorm1d(3)
            y = norm(torch.ones(1, 3))  # <--
        """,
        cause="In training mode the layer subtracts the mean of the batch. With one value per channel that leaves 0, "
        "whatever the input. The last batch of an epoch may have one sample, and pooling to 1 x 1 leaves one value "
        "for each channel too.",
        cure="DataLoader(..., drop_last=True), or a larger batch. For inference call model.eval(), which uses the "
        "running statistics. For batches of one use GroupNorm or LayerNorm.",
        cured="""
            norm = nn.BatchNorm1d(3)
            norm.eval()
            y = norm(torch.zeros(1, 3))
            print(y.shape)
        """,
        fragments=(
            "Expected more than 1 value per channel when training, got input size",
            "Expected more than 1 spatial element when training, got input size",
        ),
        symptoms=("batchnorm one sample", "batchnorm batch one"),
        related=("eval-forgotten", "no-batch-dimension"),
        in_training="A whole epoch works, and its last batch stops: the number of samples leaves a remainder of 1.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the model's call.",
    ),
    Mistake(
        "view-layout",
        "view cannot join dimensions that do not lie side by side in memory",
        program="""
            x = torch.arange(6.0).reshape(2, 3)
            y = x.t().view(6)  # <--
        """,
        cause="view copies nothing: it only describes the same memory in another way. t(), transpose, permute and some slices "
        "change the order of dimensions without moving the numbers, and no description fits the joined result.",
        cure="Use reshape, which copies where it must, or .contiguous().view(...). If the error comes from inside "
        "backward(), make the input of the named layer contiguous.",
        cured="""
            x = torch.arange(6.0).reshape(2, 3)
            y = x.t().reshape(6)
            print(y)
        """,
        fragments=(
            "view size is not compatible with input tensor's size and stride",
            "at least one dimension spans across two contiguous subspaces",
        ),
        related=("view-size",),
        in_training="The first forward pass stops, after an attention's transpose or a change from channels last.",
        run_finds="gradcli why --run train.py names this entry and the line of view; the transpose is above it.",
    ),
    Mistake(
        "view-size",
        "view and reshape keep the number of elements",
        program="""
            images = torch.ones(2, 3, 4, 4)
            x = images.view(-1, 100)  # <--
        """,
        cause="96 numbers cannot be arranged in rows of 100. The size was computed for other images, or for another "
        "number of channels or layers. If it happens to divide, there is no error, and samples are mixed: [-1, 32] "
        "would make 3 rows of 2 images.",
        cure="Keep the batch and let PyTorch compute the rest: x.flatten(1), or x.view(x.shape[0], -1). The layer "
        "after it then says which size it needs.",
        cured="""
            images = torch.ones(2, 3, 4, 4)
            x = images.flatten(1)
            print(x.shape)
        """,
        fragments=(
            "shape '[4, 100]' is invalid for input of size",
            "size '[4 x 100]' is invalid for input with 24 elements",
        ),
        related=("view-layout", "shape-mismatch"),
        in_training="The first batch stops, or only the last one, which is smaller than a batch size that is written as "
        "a number.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of view(); the message has "
        "the shape.",
    ),
    Mistake(
        "cat-sizes",
        "tensors to be joined differ in another dimension",
        program="""
            up, skip = torch.ones(1, 2, 6, 6), torch.ones(1, 2, 7, 7)
            y = torch.cat([up, skip], dim=1)  # <--
        """,
        cause="cat joins along one dimension, and all others must be equal: here channels are joined, and the images "
        "are 6 x 6 and 7 x 7. In a U-Net, halving 7 gives 3, and doubling that gives 6. stack adds a dimension and "
        "needs equal shapes.",
        cure="Bring them to one size: F.interpolate(up, size=skip.shape[2:]), F.pad, or a crop; or use image sizes "
        "that can be halved often enough. Sequences of different lengths are padded first: "
        "torch.nn.utils.rnn.pad_sequence.",
        cured="""
            up, skip = torch.ones(1, 2, 6, 6), torch.ones(1, 2, 7, 7)
            y = torch.cat([F.interpolate(up, size=skip.shape[2:]), skip], dim=1)
            print(y.shape)
        """,
        fragments=(
            "Sizes of tensors must match except in dimension",
            "Tensors must have same number of dimensions: got",
            "stack expects each tensor to be equal size, but got",
            "zero-dimensional tensor (at position 0) cannot be concatenated",
            "invalid argument: Sizes of tensors must match except in dimension",
        ),
        symptoms=("cat sizes", "stack sizes"),
        related=("size-mismatch",),
        in_training="The first batch with an odd size stops; a DataLoader whose samples differ in size stops in "
        "default_collate.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the tensor of "
        "the other size.",
    ),
    Mistake(
        "conv-channels",
        "the channels of the images are not those of the convolution",
        program="""
            images = torch.ones(1, 28, 28, 3)
            y = nn.Conv2d(3, 8, kernel_size=3)(images)  # <--
        """,
        cause="nn.Conv2d takes [batch, channels, height, width]. Images from NumPy, PIL, OpenCV or TensorFlow have the "
        "channels last, so 28 rows are taken for 28 channels. Or the channels differ: grey images in a network for "
        "colour, a layer that does not fit the one before it.",
        cure="Move the channels: x.permute(0, 3, 1, 2), or torchvision's ToTensor for a single image. Otherwise set "
        "in_channels to the second size of the input; grey images get three channels by x.expand(-1, 3, -1, -1).",
        cured="""
            images = torch.ones(1, 28, 28, 3)
            y = nn.Conv2d(3, 8, kernel_size=3)(images.permute(0, 3, 1, 2))
            print(y.shape)
        """,
        fragments=(
            "expected input[1, 28, 28, 3] to have 3 channels, but got 28 channels instead",
            "running_mean should contain ... elements not",
        ),
        symptoms=("conv channels", "channels last"),
        related=("conv-dimensions", "shape-mismatch"),
        in_training="The first forward pass stops. Grey images stop it only where the dataset has some.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the layer or the "
        "images, with both shapes.",
    ),
    Mistake(
        "conv-dimensions",
        "the input has too few or too many dimensions for the convolution",
        program="""
            image = torch.ones(28, 28)
            y = nn.Conv2d(1, 8, kernel_size=3)(image)  # <--
        """,
        cause="nn.Conv2d takes [batch, channels, height, width], or without the batch [channels, height, width]. A grey "
        "image comes without channels. A batch of them, [16, 28, 28], would even be read as one image of 16 channels.",
        cure="Add the channel where it belongs: image.unsqueeze(0) is [1, 28, 28], a batch images.unsqueeze(1) is [16, "
        "1, 28, 28]. nn.Conv1d takes [batch, channels, length], so sequences [batch, length, features] are transposed. "
        "After flatten or Linear there are no images any more: convolutions come before.",
        cured="""
            image = torch.ones(28, 28)
            y = nn.Conv2d(1, 8, kernel_size=3)(image.unsqueeze(0))
            print(y.shape)
        """,
        fragments=(
            "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size",
            "Expected 2D (unbatched) or 3D (batched) input to conv1d, but got input of size",
            "Expected 4-dimensional input for 4-dimensional weight",
            "Expected 3-dimensional input for 3-dimensional weight",
            "Expected stride to be a single integer value or a list",
        ),
        vague=(
            Vague("expected 4D input (got 2D input)", ("torch", "nn.", "BatchNorm"), alone=True),
            Vague(
                "expected 2D or 3D input (got 4D input)", ("torch", "nn.", "BatchNorm"), alone=True
            ),
        ),
        related=("conv-channels", "no-batch-dimension"),
        in_training="The first forward pass stops, in training or when the trained model is shown a single image.",
        run_finds="gradcli why --run train.py names this entry and the line of the convolution.",
    ),
    Mistake(
        "image-too-small",
        "the image is smaller than the kernel",
        program="""
            image = torch.ones(1, 1, 4, 4)
            net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3))  # <--
            y = net(image)
        """,
        cause="Each convolution without padding takes 2 pixels from height and width, and each pooling halves them: 4, "
        "2, and the third kernel of 3 does not fit into 2. Networks for 224 x 224 pixels do not run on 28 x 28.",
        cure="Use padding=1 to keep the size, fewer poolings, or larger images: F.interpolate(x, size=64).",
        cured="""
            image = torch.ones(1, 1, 4, 4)
            net = nn.Sequential(*(nn.Conv2d(i, 8, 3, padding=1) for i in (1, 8, 8)))
            print(net(image).shape)
        """,
        fragments=(
            "Kernel size can't be greater than actual input size",
            "Calculated output size ... Output size is too small",
        ),
        related=("conv-channels", "view-size"),
        in_training="The first forward pass stops.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the layer's call.",
    ),
    Mistake(
        "rnn-sizes",
        "the input or the state of an RNN has another size or order",
        program="""
            rnn = nn.GRU(4, 8, batch_first=True)
            x, h = torch.ones(2, 5, 4), torch.zeros(1, 5, 8)  # <--
            y, h = rnn(x, h)
        """,
        cause="The input is [length, batch, features], with batch_first=True [batch, length, features]. The state is "
        "[layers * directions, batch, hidden] in both cases. Here the state was made for 5 samples, and there are 2. "
        "A state that is kept for the smaller last batch fails in the same way.",
        cure="Leave the state out (it is zeros then), or make it from the batch: torch.zeros(1, x.shape[0], 8). "
        "input_size must be the last size of the input, and an LSTM's state is a pair (h, c).",
        cured="""
            rnn = nn.GRU(4, 8, batch_first=True)
            x, h = torch.ones(2, 5, 4), torch.zeros(1, 2, 8)
            y, h = rnn(x, h)
            print(y.shape)
        """,
        fragments=(
            "Expected hidden size ..., got",
            "Expected hidden[0] size ..., got",
            "Expected hidden[1] size ..., got",
            "input.size(-1) must be equal to input_size. Expected",
            "For <batched|unbatched> ... input, <hx|hx and cx> should also be",
        ),
        related=("no-batch-dimension", "carried-state"),
        in_training="The first forward pass stops, or the last batch of an epoch: drop_last=True in the DataLoader "
        "avoids a smaller one.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the RNN, or the "
        "input or state that does not fit.",
    ),
    Mistake(
        "normalized-shape",
        "a layer norm for another number of features",
        program="""
            norm = nn.LayerNorm(8)
            y = norm(torch.ones(2, 8, 5))  # <--
        """,
        cause="LayerNorm normalises the last dimensions, and their sizes are what it was made with. Here the features are in "
        "the middle, as a convolution has them.",
        cure="Make it for the last size, nn.LayerNorm(x.shape[-1]); move the features to the end, or use nn.GroupNorm(1, "
        "features), which has them after the batch.",
        cured="""
            norm = nn.LayerNorm(8)
            y = norm(torch.ones(2, 8, 5).transpose(1, 2)).transpose(1, 2)
            print(y.shape)
        """,
        fragments=(
            "Given normalized_shape=..., expected input with shape",
            "Expected weight to be of same shape as normalized_shape",
        ),
        related=("conv-channels", "shape-mismatch"),
        in_training="The first forward pass stops.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the layer's call.",
    ),
    Mistake(
        "einsum-subscripts",
        "the subscripts of einsum do not fit the tensors",
        program="""
            A, B = torch.ones(2, 3, 4), torch.ones(4, 5)
            C = torch.einsum("ij,jk->ik", A, B)  # <--
        """,
        cause="Each operand needs a letter for each of its dimensions, a letter has one size everywhere, and each letter "
        "after the arrow must also be before it. Here the batch of A has no letter.",
        cure="Write a letter for every dimension, or ... for those that all operands share.",
        cured="""
            A, B = torch.ones(2, 3, 4), torch.ones(4, 5)
            C = torch.einsum("bij,jk->bik", A, B)
            print(C.shape)
        """,
        fragments=(
            "einsum(): the number of subscripts in the equation",
            "einsum(): subscript ... has size ... which does not broadcast with previously seen size",
            "einsum(): output subscript ... does not appear in the equation",
            "einsum(): fewer operands were provided than specified in the equation",
            "einsum(): more operands were provided than specified in the equation",
        ),
        related=("shape-mismatch", "size-mismatch"),
        in_training="The first forward pass stops.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of einsum.",
    ),
)
