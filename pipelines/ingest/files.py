"""The record files behind a path: one file, a folder of them, or the members of a zip, read one at a time."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.clinical.errors import UnreadableSource

LARGEST_FILE = 64 * 2**20  # bytes; a record of the CinC 2019 challenge has at most 0.1 MB


@dataclass(frozen=True)
class RecordFiles:
    """The files with `suffix` behind `path`, by name.

    Made by `find_record_files`. `names` are relative to a folder or inside a zip.
    """

    path: Path
    names: tuple[str, ...]

    def contents(self) -> Iterator[tuple[str, bytes | UnreadableSource]]:
        """Each file's name with its bytes, or with why it cannot be read. Holds one file at a time."""
        if self.path.is_dir() or self.names == (self.path.name,):
            folder = self.path if self.path.is_dir() else self.path.parent
            for name in self.names:
                yield name, _file_content(folder / name)
            return
        with _opened(self.path) as archive:
            for name in self.names:
                yield name, _member_content(archive, name)


def find_record_files(path: Path, suffix: str) -> RecordFiles:
    """The record files behind `path`, recursively.

    Raises UnreadableSource if the path is absent, a zip is damaged, or nothing there ends in `suffix`.
    """
    if path.is_dir():
        found = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    elif not path.is_file():
        raise UnreadableSource(f"{path}: no such file or folder; expected a {suffix} file, a folder or a zip")
    elif path.suffix == suffix:
        return RecordFiles(path, (path.name,))
    else:
        with _opened(path) as archive:
            found = [member.filename for member in archive.infolist() if not member.is_dir()]
    names = tuple(sorted(name for name in found if _is_record(name, suffix)))
    if not names:
        raise UnreadableSource(f"{path}: holds no {suffix} file")
    return RecordFiles(path, names)


def _is_record(name: str, suffix: str) -> bool:
    parts = PurePosixPath(name)
    # macOS archives carry a shadow of every file under these names
    return parts.suffix == suffix and "__MACOSX" not in parts.parts and not parts.name.startswith(".")


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UnreadableSource(f"{path}: expected a whole zip archive, but {error}") from error
    with archive:
        yield archive


def _file_content(file: Path) -> bytes | UnreadableSource:
    try:
        size = file.stat().st_size
        return _too_large(str(file), size) or file.read_bytes()
    except OSError as error:
        return UnreadableSource(f"{file}: cannot be read: {error}")


def _member_content(archive: zipfile.ZipFile, name: str) -> bytes | UnreadableSource:
    where = f"{archive.filename}: {name}"
    try:
        return _too_large(where, archive.getinfo(name).file_size) or archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        return UnreadableSource(f"{where}: this member of the zip is damaged or encrypted: {error}")


def _too_large(where: str, size: int) -> UnreadableSource | None:
    if size <= LARGEST_FILE:
        return None
    return UnreadableSource(f"{where}: {size} bytes; expected at most {LARGEST_FILE}")
