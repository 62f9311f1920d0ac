"""Sources cited by name in a text, and the list of those that were."""

import re
import tomllib
from importlib.resources import files


def cite(paragraphs: dict[str, list[str]]) -> tuple[dict[str, str], list[str]]:
    """Put names for ``[key]`` or ``[key; key]`` and list the sources once.

    Parameters
    ----------
    paragraphs : {heading: sentences}
        Keys are those of ``bibliography.toml``.

    Returns
    -------
    texts : {heading: text}
    references : list of str, by name

    Raises
    ------
    KeyError
        If a key is not in the bibliography.
    """
    sources = tomllib.loads((files(__package__) / "bibliography.toml").read_text(encoding="utf-8"))
    used = set()

    def name(found: re.Match) -> str:
        keys = found[1].split("; ")
        used.update(keys)
        return f"({'; '.join(sources[key]['short'] for key in keys)})"

    texts = {
        heading: re.sub(r"\[([a-z]+\d{4}(?:; [a-z]+\d{4})*)\]", name, " ".join(sentences))
        for heading, sentences in paragraphs.items()
    }
    return texts, sorted(sources[key]["full"] for key in used)
