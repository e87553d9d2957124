"""`--out FILE`: a temporary file beside the target, renamed over it once it is complete."""

import contextlib
import os
import stat
import tempfile

from gradcli.errors import FileError
from gradcli.language.file_names import advice


class OutFile:
    """The file of `--out` while it is written; a link stays a link, and the old file's mode stays.

    Entering raises FileError if the target cannot be written; leaving removes the temporary file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.temporary = ""

    def __enter__(self) -> "OutFile":
        try:
            self._target = os.path.realpath(self._path)
            self._mode = self._existing_mode()
            folder, name = os.path.split(self._target)
            prefix = f".{name[:100]}."
            handle, self.temporary = tempfile.mkstemp(".part", prefix, folder)
        except (OSError, ValueError) as error:
            raise self._failure(error) from None
        os.chmod(self.temporary, 0o600)  # this process must be able to write it, whatever the umask
        os.close(handle)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.temporary)

    def put_in_place(self) -> None:
        """Rename the temporary file over the target. Raises FileError if the system refuses."""
        try:
            os.chmod(self.temporary, self._mode)
            os.replace(self.temporary, self._target)
        except OSError as error:
            raise self._failure(error) from None

    def _existing_mode(self) -> int:
        """The mode of the existing or of a new file. Raises OSError, ValueError and FileError."""
        try:
            mode = os.stat(self._target).st_mode
        except (FileNotFoundError, NotADirectoryError):
            mask = os.umask(0)
            os.umask(mask)
            return 0o666 & ~mask
        if not stat.S_ISREG(mode):
            raise FileError(f"--out: {self._path!r} is not a regular file", hint="write to a file")
        if not os.access(self._target, os.W_OK):
            message = f"--out: no permission to write {self._path!r}"
            raise FileError(message, hint="check its permissions: ls -l")
        return stat.S_IMODE(mode)

    def _failure(self, error: Exception) -> FileError:
        reason = (getattr(error, "strerror", None) or "invalid file name").lower()
        hint = advice(self._path) or "check the folder and its permissions"
        return FileError(f"--out: {self._path!r} cannot be written: {reason}", hint=hint)
