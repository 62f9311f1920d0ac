"""Pictures of a page as files."""

from collections.abc import Iterator
from pathlib import Path

from experiments.report.svg import Picture


def pictures(content) -> Iterator[Picture]:
    """Every picture in nested mappings and sequences, in their order."""
    if isinstance(content, Picture):
        yield content
    elif isinstance(content, dict):
        yield from pictures(list(content.values()))
    elif isinstance(content, list | tuple):
        for part in content:
            yield from pictures(part)


def write_pictures(content, folder: Path) -> list[Path]:
    """Write every picture as PDF and PNG into a folder, made if need be; their paths."""
    folder.mkdir(exist_ok=True)
    return [path for picture in pictures(content) for path in picture.save(folder)]
