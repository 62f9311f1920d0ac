"""What an audit found, as tables, as JSON and as text."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

SEVERITIES = ("error", "warning", "note")
_ROWS_SHOWN = 40


@dataclass(frozen=True)
class Report:
    """Result of `stimuli.audit`.

    Parameters
    ----------
    leaks : DataFrame
        Pairs of clips on two sides of the split that hold the same music: a, b (clip_id), split_a,
        split_b, kind (see `stimuli.relations.KINDS`; "replica in sound" was heard, not read from
        the table), overlap_seconds (NaN if unknown), lag_seconds (what sounds at t in a sounds at
        t + lag in b), similarity (of the waveforms, at most 1) and shared, in words.
    related : DataFrame
        Such pairs on one side, with kept_together: whether they have one group. Folds would divide
        those that have not: see `merge_groups`.
    artists : DataFrame
        Artists on two sides: artist, split_a, split_b, n_a, n_b (clips).
    problems : DataFrame
        path ("" for the table as a whole), what, severity: "error", "warning" or "note".
    n_clips : int
        Distinct clips.
    splits : dict
        Side to {"rows", "clips", "groups", "labels": {label: clips}}; side "" without a split.
    notes : list of str
        What was checked and what could not be.
    """

    leaks: pd.DataFrame
    related: pd.DataFrame
    artists: pd.DataFrame
    problems: pd.DataFrame
    n_clips: int
    splits: dict
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """No leak and no error; warnings and notes do not count."""
        return self.leaks.empty and not (self.problems["severity"] == "error").any()

    def to_json(self) -> dict:
        """The report in plain types; unknown numbers are None."""

        def records(table):
            return [
                {
                    key: None if isinstance(value, float) and np.isnan(value) else value
                    for key, value in row.items()
                }
                for row in table.to_dict("records")
            ]

        return {
            "ok": self.ok,
            "leaks": records(self.leaks),
            "problems": records(self.problems),
            "n_clips": self.n_clips,
            "splits": self.splits,
            "related": records(self.related),
            "artists": records(self.artists),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The report for people."""
        counts = self.problems["severity"].value_counts()
        lines = [f"{self.n_clips} clips: {'ok' if self.ok else 'NOT ok'}"]
        for side, numbers in self.splits.items():
            lines.append(
                f"  {side or '(no split)'}: {numbers['clips']} clips in {numbers['rows']} rows, "
                f"{numbers['groups']} groups, {len(numbers['labels'])} labels"
            )
        lines.append(f"Leaks between sides: {len(self.leaks)}")
        lines += _pair_lines(self.leaks)
        apart = self.related[~self.related["kept_together"]]
        lines.append(
            f"Related clips on one side: {len(self.related)}, of which {len(apart)} are in "
            "different groups"
            + (" (folds would divide them: merge their groups)" * bool(len(apart)))
        )
        lines += _pair_lines(apart)
        for (a, b), shared in self.artists.groupby(["split_a", "split_b"], sort=False):
            lines.append(
                f"Artists on both sides: {len(shared)}, with {shared['n_a'].sum()} clips of {a} "
                f"and {shared['n_b'].sum()} of {b}"
            )
        total = ", ".join(f"{counts.get(s, 0)} {s}s" for s in SEVERITIES)
        lines.append(f"Problems: {total}")
        shown = self.problems.head(_ROWS_SHOWN)
        lines += [f"  {p.severity}: {p.path or '(table)'}: {p.what}" for p in shown.itertuples()]
        lines += _rest(self.problems)
        return "\n".join([*lines, *self.notes])


def _pair_lines(pairs):
    lines = []
    for pair in pairs.head(_ROWS_SHOWN).itertuples():
        known = not np.isnan(pair.overlap_seconds)
        seconds = f"{pair.overlap_seconds:.2f} s in common" if known else "seconds unknown"
        lag = "" if np.isnan(pair.lag_seconds) else f", lag {pair.lag_seconds:.2f} s"
        sides = [f" [{side}]" if side else "" for side in (pair.split_a, pair.split_b)]
        lines.append(
            f"  {pair.a}{sides[0]} - {pair.b}{sides[1]}: {pair.kind}, {seconds}{lag}"
            + (f" ({pair.shared})" if pair.shared else "")
        )
    return lines + _rest(pairs)


def _rest(table):
    more = len(table) - _ROWS_SHOWN
    return [f"  ... and {more} more"] if more > 0 else []
