"""`--out FILE`: a temporary file beside the target, renamed over it once it is whole."""

import contextlib
import os
import stat
import tempfile

from gradcli.errors import FileError
from gradcli.language.file_names import advice


class OutFile:
    """The file that `--out` names, being written. A link keeps pointing where it did, and the old
    file's mode stays.

    Entering it raises FileError where the target cannot be written; leaving it removes what was not
    put in place.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.temporary = ""

    def __enter__(self) -> "OutFile":
        try:
            self._target = os.path.realpath(self._path)
            self._mode = self._existing_mode()
            folder, name = os.path.split(self._target)
            handle, self.temporary = tempfile.mkstemp(
                prefix=f".{name[:100]}.", suffix=".part", dir=folder
            )
        except (OSError, ValueError) as error:
            raise self._failure(error) from None
        os.chmod(
            self.temporary, 0o600
        )  # whatever the umask says, this process is going to write it
        os.close(handle)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.temporary)

    def put_in_place(self) -> None:
        """Rename the temporary file over the target.

        Raises FileError where the system refuses.
        """
        try:
            os.chmod(self.temporary, self._mode)
            os.replace(self.temporary, self._target)
        except OSError as error:
            raise self._failure(error) from None

    def _existing_mode(self) -> int:
        """The mode of the file that is there, or the one that a new file gets. Raises OSError,
        ValueError and FileError.
        """
        try:
            mode = os.stat(self._target).st_mode
        except (FileNotFoundError, NotADirectoryError):
            mask = os.umask(0)
            os.umask(mask)
            return 0o666 & ~mask
        if not stat.S_ISREG(mode):
            raise FileError(f"--out: {self._path!r} is not a regular file", hint="write to a file")
        if not os.access(self._target, os.W_OK):
            raise FileError(
                f"--out: no permission to write {self._path!r}", hint="check its permissions: ls -l"
            )
        return stat.S_IMODE(mode)

    def _failure(self, error: Exception) -> FileError:
        reason = (getattr(error, "strerror", None) or "invalid file name").lower()
        hint = advice(self._path) or "check the folder and its permissions"
        return FileError(f"--out: {self._path!r} cannot be written: {reason}", hint=hint)
