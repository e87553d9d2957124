"""The program: the version, else the whole command line. Heavy imports wait until they are needed."""

import os
import sys


def main() -> int:
    """Run one call and return its exit status."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        return _version()
    from gradcli.cli.program import run
    from gradcli.supervise import Died, die
    from gradcli.world import World

    try:
        return run(arguments, World.current())
    except Died as death:
        return die(death.signum)
    except KeyboardInterrupt:
        return die(2)


def _version() -> int:
    from gradcli import __version__

    sys.stdout.write(f"gradcli {__version__} (PyTorch {_torch_version()})\n")
    return 0


def _torch_version() -> str:
    """PyTorch's version, read as text from the first installation on the path: importing it takes seconds."""
    for folder in sys.path:
        try:
            with open(os.path.join(folder, "torch", "version.py"), encoding="utf-8") as file:
                for line in file:
                    name, _, value = line.partition("=")
                    if name.partition(":")[0].strip() == "__version__":
                        return value.strip().strip("'\"")
        except OSError:
            continue
    return "not installed"


if __name__ == "__main__":
    sys.exit(main())
