"""Mistakes with what surrounds a training loop: checkpointing, mixed precision, clipping, several
processes, torch.compile and cuDNN.
"""

from gradcli.catalogue.mistakes.entry import Elsewhere, Mistake

TOOLS = (
    Mistake(
        "checkpoint-changed",
        "the recomputation of a checkpoint differs from the forward pass",
        program="""
            calls = []

            def block(x):
                calls.append(x)
                return x[: len(calls)].sin()  # <--

            x = torch.ones(3, requires_grad=True)
            y = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
            y.sum().backward()
        """,
        cause="A checkpoint saves no intermediate results and runs the block again in backward. The second run must do "
        "the same as the first. Here it depends on a counter; in real models on a cache that the first run filled "
        "(use_cache=True), on an autocast or a train/eval mode that has changed, on random numbers or on data.",
        cure="Make the block a function of its arguments: switch the cache off (use_cache=False), leave the mode alone "
        "between forward and backward, draw random choices outside and pass them in. With "
        "torch.utils.checkpoint.set_checkpoint_debug_enabled(True) around forward and backward the message shows the "
        "operations of both runs.",
        cured="""
            def block(x, length):
                return x[:length].sin()

            x = torch.zeros(3, requires_grad=True)
            y = torch.utils.checkpoint.checkpoint(block, x, 2, use_reentrant=False)
            y.sum().backward()
            print(x.grad)
        """,
        fragments=(
            "Recomputed values for the following tensors have different metadata than during the forward pass",
            "A different number of tensors was saved during the original forward and recomputation",
            "trying to save more tensors during recomputation than during the original forward pass",
        ),
        symptoms=("gradient checkpointing", "checkpoint recomputed"),
        related=("checkpoint-inputs", "eval-forgotten"),
        in_training="The first backward() stops with the numbers, shapes and dtypes of the tensors that differ. A "
        "dtype that differs (float16 and float32) points to autocast, a shape to a cache.",
        run_finds="gradcli why --run train.py names this entry and the line of backward().",
    ),
    Mistake(
        "checkpoint-inputs",
        "a reentrant checkpoint whose inputs need no gradient has no gradient at all",
        program="""
            layer, head = nn.Linear(2, 2), nn.Linear(2, 1)
            h = torch.utils.checkpoint.checkpoint(layer, torch.ones(1, 2), use_reentrant=True)  # <--
            head(h).sum().backward()
            print(layer.weight.grad)
        """,
        cause="The older kind of checkpoint, use_reentrant=True, sees the inputs of the block and not its parameters. "
        "If no input requires a gradient, as in the first layer or behind a frozen embedding, it returns a constant, "
        "and the parameters get nothing.",
        cure="Pass use_reentrant=False, which has no such limit. With Hugging Face models and adapters (LoRA): "
        "gradient_checkpointing_kwargs={'use_reentrant': False}, or model.enable_input_require_grads().",
        cured="""
            layer, head = nn.Linear(2, 2), nn.Linear(2, 1)
            h = torch.utils.checkpoint.checkpoint(layer, torch.ones(1, 2), use_reentrant=False)
            head(h).sum().backward()
            print(layer.weight.grad.shape)
        """,
        fragments=(
            "None of the inputs have requires_grad=True. Gradients will be None",
            "the use_reentrant parameter should be passed explicitly",
        ),
        related=("no-grad", "checkpoint-changed", "checkpoint-grad"),
        in_training="A warning, and then either the error of a loss without a graph or, if later layers are trained, "
        "no error: the layers inside the checkpoint never change.",
        run_finds="gradcli why --run train.py names the line of the checkpoint, and the parameters of the optimizer "
        "that no gradient reaches.",
    ),
    Mistake(
        "checkpoint-grad",
        "a reentrant checkpoint works with backward() alone",
        program="""
            x = torch.zeros(2, requires_grad=True)
            y = torch.utils.checkpoint.checkpoint(torch.sin, x, use_reentrant=True)  # <--
            dx = torch.autograd.grad(y.sum(), x)[0]
        """,
        cause="The older kind of checkpoint runs a backward pass of its own inside backward. It cannot know which "
        "inputs torch.autograd.grad asks for, and it has no second derivative.",
        cure="Pass use_reentrant=False.",
        cured="""
            x = torch.zeros(2, requires_grad=True)
            y = torch.utils.checkpoint.checkpoint(torch.sin, x, use_reentrant=False)
            print(torch.autograd.grad(y.sum(), x)[0])
        """,
        fragments=(
            "torch.utils.checkpoint is incompatible with .grad() or passing an inputs parameter to .backward()",
            "Checkpointing is not compatible with .grad()",
        ),
        related=("checkpoint-inputs", "no-second-derivative"),
        in_training="Training works until a gradient penalty, or a loss that uses torch.autograd.grad, is added.",
        run_finds="gradcli why --run train.py names this entry and the line of torch.autograd.grad.",
    ),
    Mistake(
        "scaler-half",
        "GradScaler needs float32 weights, and these are float16",
        program="""
            net = nn.Linear(2, 1).half()  # <--
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
            loss = net(torch.ones(1, 2).half()).sum()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
        """,
        cause="Mixed precision keeps the weights in float32 and runs single operations in float16. A model loaded or "
        "converted in float16 has float16 gradients, in which unscaling would lose the small ones again.",
        cure="Keep the weights in float32 (remove .half(), load with torch_dtype=torch.float32; with LoRA at least the "
        "trainable ones) and run forward and loss under torch.autocast. Or use bfloat16 for all, without a scaler.",
        cured="""
            net = nn.Linear(2, 1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
            with torch.autocast("cpu", torch.float16):
                loss = net(torch.ones(1, 2)).sum()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            print(net.weight.grad)
        """,
        fragments=("Attempting to unscale FP16 gradients",),
        related=("scaler-unused", "dtype-mix"),
        in_training="The first scaler.step() or scaler.unscale_() stops; forward and backward work. A Trainer with "
        "fp16=True and a model loaded in float16 is the usual case.",
        run_finds="gradcli why --run train.py names this entry and the line of scaler.step() or unscale_().",
    ),
    Mistake(
        "scaler-unused",
        "the scaler steps an optimizer whose parameters have no scaled gradients",
        program="""
            net = nn.Linear(2, 1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            scaler = torch.amp.GradScaler("cpu")
            loss = net(torch.ones(1, 2)).sum()
            scaler.scale(loss)  # <--
            scaler.step(optimizer)
        """,
        cause="step() first looks for inf in the gradients of this optimizer, and there are none: backward() was not "
        "called (here), zero_grad() came after it, the loss does not use these parameters, all are frozen, or the "
        "optimizer was made for another model.",
        cure="Keep the order scaler.scale(loss).backward(), scaler.step(optimizer), scaler.update(). With several "
        "optimizers call step only for those whose parameters took part in this loss.",
        cured="""
            net = nn.Linear(2, 1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            scaler = torch.amp.GradScaler("cpu")
            loss = net(torch.ones(1, 2)).sum()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            print(net.weight.grad)
        """,
        fragments=(
            "No inf checks were recorded for this optimizer",
            "No inf checks were recorded prior to update",
            "Attempted step but _scale is None",
        ),
        related=("scaler-half", "zeroed-before-step", "not-in-optimizer", "scaler-twice"),
        in_training="scaler.step() stops: in the first step, or in the first one where a branch of the model, such "
        "as the discriminator, is not used.",
        run_finds="gradcli why --run train.py names this entry and the line of scaler.step().",
    ),
    Mistake(
        "scaler-twice",
        "the gradients of one step were unscaled twice",
        program="""
            net = nn.Linear(2, 1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            scaler = torch.amp.GradScaler("cpu")
            scaler.scale(net(torch.ones(1, 2)).sum()).backward()
            scaler.unscale_(optimizer)
            scaler.unscale_(optimizer)  # <--
        """,
        cause="unscale_() divides the gradients by the scale, which is right once between two updates. Calling it in "
        "every micro-batch, or without scaler.update() at the end of a step, does it again.",
        cure="Call unscale_() once, just before clipping, only in the iteration that also calls step() and update().",
        cured="""
            net = nn.Linear(2, 1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            scaler = torch.amp.GradScaler("cpu")
            scaler.scale(net(torch.ones(1, 2)).sum()).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(net.parameters(), max_norm=10.0)
            scaler.step(optimizer)
            scaler.update()
            print(net.weight.grad)
        """,
        fragments=(
            "unscale_() has already been called on this optimizer since the last update()",
            "unscale_() is being called after step()",
            "step() has already been called since the last update()",
        ),
        related=("scaler-unused", "clip-nonfinite"),
        in_training="The first step works and the second stops, or the second micro-batch of the first step.",
        run_finds="gradcli why --run train.py names this entry and the line of the second call.",
    ),
    Mistake(
        "clip-nonfinite",
        "gradients with an inf or nan cannot be clipped",
        program="""
            w = torch.tensor([1.0, 0.0], requires_grad=True)
            loss = w.sqrt().sum()  # <--
            loss.backward()
            nn.utils.clip_grad_norm_([w], max_norm=1.0, error_if_nonfinite=True)
        """,
        cause="Clipping divides all gradients by their common norm. One inf makes the norm inf, and one nan makes it "
        "nan; without error_if_nonfinite=True all gradients would silently become 0 or nan.",
        cure="Find where the inf comes from: torch.autograd.set_detect_anomaly(True) names the operation, and an eps "
        "or a clamp keeps its input away from the singular point. With GradScaler unscale first; it skips such steps "
        "itself.",
        cured="""
            w = torch.tensor([1.0, 0.0], requires_grad=True)
            loss = (w + 1e-2).sqrt().sum()
            loss.backward()
            print(nn.utils.clip_grad_norm_([w], max_norm=1.0, error_if_nonfinite=True))
        """,
        fragments=(
            "for gradients from parameters is non-finite, so it cannot be clipped",
            "To disable this error and scale the gradients by the non-finite norm anyway",
        ),
        symptoms=("clip grad norm nan", "gradient norm nan", "gradient norm inf"),
        related=("anomaly", "not-a-number", "scaler-twice"),
        in_training="The error appears after hundreds of good steps, at the first batch with a zero, a large number or "
        "a nan. Without the flag all weights are nan from that step on.",
        run_finds="gradcli why --run train.py names this entry and, where a log, root or quotient gave it, the "
        "first operation with an inf or nan.",
    ),
    Mistake(
        "ddp-unused",
        "DistributedDataParallel waits for the gradients of unused parameters",
        program="""
            import torch.distributed as dist

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.used, self.spare = nn.Linear(2, 1), nn.Linear(2, 1)

                def forward(self, x):
                    return self.used(x)  # <--

            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
            net = nn.parallel.DistributedDataParallel(Net())
            for step in range(2):
                net(torch.ones(1, 2)).sum().backward()
        """,
        cause="The processes average each gradient as soon as it is there, and a step ends when all have arrived. The "
        "spare layer never gets one, so the second step begins before the first has ended. A branch that was not "
        "taken, an output that the loss does not use, and a frozen layer that was frozen after wrapping do the same.",
        cure="Remove what is not used, or freeze it before wrapping, or let the loss depend on it. Otherwise pass "
        "find_unused_parameters=True, which costs a walk through the graph in every step. "
        "TORCH_DISTRIBUTED_DEBUG=DETAIL makes the message name the parameters.",
        cured="""
            import torch.distributed as dist

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.used, self.spare = nn.Linear(2, 1), nn.Linear(2, 1)

                def forward(self, x):
                    return self.used(x)

            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
            net = nn.parallel.DistributedDataParallel(Net(), find_unused_parameters=True)
            for step in range(2):
                net.zero_grad()
                net(torch.ones(1, 2)).sum().backward()
            print(net.module.used.weight.grad)
        """,
        fragments=(
            "Expected to have finished reduction in the prior iteration before starting a new one",
            "your module has parameters that were not used in producing loss",
            "Parameter indices which did not receive grad for rank",
            "making sure all forward function outputs participate in calculating loss",
        ),
        symptoms=("unused parameters", "ddp unused parameters"),
        related=("ddp-twice", "unused-input", "frozen"),
        in_training="The first step works and the second stops, on all ranks, or one rank waits forever.",
        run_finds="gradcli why --run train.py runs one process: run it on the model without "
        "DistributedDataParallel, and it lists the parameters whose grad stays None.",
    ),
    Mistake(
        "ddp-twice",
        "DistributedDataParallel got the gradient of a parameter twice",
        program="""
            import torch.distributed as dist

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(2, 2)

                def forward(self, x):
                    for _ in range(2):
                        x = torch.utils.checkpoint.checkpoint(self.layer, x, use_reentrant=True)  # <--
                    return x

            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
            net = nn.parallel.DistributedDataParallel(Net(), find_unused_parameters=True)
            net(torch.ones(1, 2, requires_grad=True)).sum().backward()
        """,
        cause="Each parameter's gradient is averaged once. Under reentrant checkpointing each checkpoint has a backward "
        "pass of its own, and a layer in two of them delivers its gradient twice. A parameter that looked unused in "
        "forward and is used outside of it, net.module.head(y), is marked twice too.",
        cure="Use checkpoints with use_reentrant=False, leave find_unused_parameters=False, and compute everything in "
        "one call of the wrapped model. static_graph=True helps if every step does the same.",
        cured="""
            import torch.distributed as dist

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(2, 2)

                def forward(self, x):
                    for _ in range(2):
                        x = torch.utils.checkpoint.checkpoint(self.layer, x, use_reentrant=False)
                    return x

            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
            net = nn.parallel.DistributedDataParallel(Net())
            net(torch.ones(1, 2, requires_grad=True)).sum().backward()
            print(net.module.layer.bias.grad.shape)
        """,
        fragments=(
            "Expected to mark a variable ready only once",
            "been marked as ready twice. This means that multiple autograd engine hooks have fired",
            "Reused parameters in multiple reentrant backward passes",
        ),
        related=("ddp-unused", "checkpoint-inputs"),
        in_training="The first backward() stops once gradient checkpointing and several GPUs are used together; each "
        "alone works.",
        run_finds="gradcli why --run train.py runs one process and cannot see this mistake; without "
        "DistributedDataParallel the program is right.",
    ),
    Mistake(
        "ddp-not-started",
        "the process group was not initialised",
        program="""
            net = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))  # <--
        """,
        cause="DistributedDataParallel and the functions of torch.distributed exchange tensors between processes, which "
        "must have found each other first. A script for several GPUs that is started with python train.py, or on "
        "Windows without the environment variables, has no such group.",
        cure="Call torch.distributed.init_process_group first, and start the script with torchrun --nproc_per_node=2 "
        "train.py. For one process, use the model without the wrapper.",
        cured="""
            import torch.distributed as dist

            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
            net = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
            net(torch.ones(1, 2)).sum().backward()
            print(net.module.weight.grad)
        """,
        fragments=(
            "Default process group has not been initialized, please make sure to call init_process_group",
            "Default process group is not initialized",
        ),
        related=("ddp-unused",),
        in_training="The program stops where the model is wrapped, before the first step.",
        run_finds="gradcli why --run train.py stops at the same error: it runs the program as python does, in one "
        "process.",
    ),
    Mistake(
        "compiled-twice",
        "compiled code has no second derivative",
        program="""
            @torch.compile(backend="aot_eager")  # <--
            def cube(x):
                return (x ** 3).sum()

            x = torch.tensor([1.0, 2.0], requires_grad=True)
            first = torch.autograd.grad(cube(x), x, create_graph=True)[0]
            first.sum().backward()
        """,
        cause="torch.compile compiles the forward and the backward pass together. The compiled backward pass is one "
        "operation without a derivative, so create_graph=True records nothing that could be differentiated again.",
        cure="Compute the loss with the second derivative without torch.compile, or compile a function that takes "
        "both derivatives inside, with torch.func.grad.",
        cured="""
            def cube(x):
                return (x ** 3).sum()

            x = torch.tensor([1.0, 2.0], requires_grad=True)
            first = torch.autograd.grad(cube(x), x, create_graph=True)[0]
            first.sum().backward()
            print(x.grad)
        """,
        fragments=("torch.compile with aot_autograd does not currently support",),
        related=("no-second-derivative", "second-derivative"),
        in_training="A gradient penalty or a Hessian works until torch.compile is switched on.",
        run_finds="gradcli why --run train.py names this entry and the line of the second derivative.",
        elsewhere=Elsewhere(
            "PyTorch's compiler, which takes seconds to load",
            (
                "RuntimeError: torch.compile with aot_autograd does not currently support double backward",
            ),
            ("tensor([ 6., 12.])",),
        ),
    ),
    Mistake(
        "output-overwritten",
        "a result of torch.compile was overwritten by the next call",
        program="""
            @torch.compile(mode="reduce-overhead")
            def model(x):
                return x.sin()

            x = torch.ones(2, device="cuda")
            first = model(x)
            second = model(x)
            print((first + second).cpu())  # <--
        """,
        cause="mode='reduce-overhead' records a CUDA graph, which writes its results to the same memory at each call. "
        "The second call overwrites the first result. Losses kept in a list, states carried to the next step and two "
        "forward passes before one backward() read such memory.",
        cure="Clone what must outlive the next call: first = model(x).clone(). Mark the beginning of each step with "
        "torch.compiler.cudagraph_mark_step_begin(), or leave the mode out.",
        cured="""
            @torch.compile(mode="reduce-overhead")
            def model(x):
                return x.sin()

            x = torch.ones(2, device="cuda")
            first = model(x).clone()
            second = model(x)
            print((first + second).cpu())
        """,
        fragments=(
            "accessing tensor output of CUDAGraphs that has been overwritten by a subsequent run",
            "call torch.compiler.cudagraph_mark_step_begin() before each model invocation",
        ),
        related=("carried-state", "inplace-saved"),
        in_training="The second step stops, at the line that uses something of the first: a running loss, a hidden "
        "state, an EMA.",
        run_finds="gradcli why --run train.py names this entry and the line that used the result.",
        elsewhere=Elsewhere(
            "a GPU",
            (
                "RuntimeError: Error: accessing tensor output of CUDAGraphs that has been overwritten by a subsequent run. "
                "To prevent overwriting, clone the tensor outside of torch.compile() or call "
                "torch.compiler.cudagraph_mark_step_begin() before each model invocation.",
            ),
            ("tensor([1.6829, 1.6829])",),
        ),
    ),
    Mistake(
        "cudnn-eval",
        "cuDNN computes no gradient of an RNN in evaluation mode",
        program="""
            rnn = nn.LSTM(2, 3).cuda()
            rnn.eval()  # <--
            y, state = rnn(torch.ones(4, 1, 2, device="cuda"))
            y.sum().backward()
        """,
        cause="In evaluation mode cuDNN saves nothing for the backward pass. Saliency maps, adversarial examples, "
        "policy gradients and a frozen recogniser inside a loss need the gradient all the same.",
        cure="Call rnn.train() for the RNN alone, and set its dropout to 0 where it should be off; or compute this "
        "part inside with torch.backends.cudnn.flags(enabled=False).",
        cured="""
            rnn = nn.LSTM(2, 3).cuda()
            rnn.train()
            y, state = rnn(torch.ones(4, 1, 2, device="cuda"))
            y.sum().backward()
            print(rnn.weight_ih_l0.grad.shape)
        """,
        fragments=(
            "cudnn RNN backward can only be called in training mode",
            "cudnn_rnn_backward can only be called in training mode",
        ),
        related=("eval-forgotten", "no-second-derivative"),
        in_training="backward() stops after the first validation, if train() is not called again; on the CPU the same "
        "program works.",
        run_finds="gradcli why --run train.py names this entry and the line of backward(); on a machine without a GPU the "
        "program ends well.",
        elsewhere=Elsewhere(
            "a GPU",
            ("RuntimeError: cudnn RNN backward can only be called in training mode",),
            ("torch.Size([12, 2])",),
        ),
    ),
)
