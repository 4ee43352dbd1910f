"""Tags of runs: words that a user gives them, kept beside the tables as a list of changes that only grows."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from bnbench.environment import timestamp
from bnbench.errors import InvalidRequest
from bnbench.store.files import RowAppender, read_rows
from bnbench.store.lock import tagging
from bnbench.store.naming import naming_rule

TAGS_TABLE = "tags.csv"
TAG_COLUMNS = ("run_id", "tag", "change", "time")
ADDED, REMOVED = "added", "removed"
LONGEST_TAG = 40


def check_tag(tag: str) -> None:
    """Refuse what is no tag.

    Raises:
        InvalidRequest: saying which letters it may have.
    """
    if allowed := naming_rule(tag, LONGEST_TAG):
        raise InvalidRequest([f"tag {tag!r:.80}: must be one word such as best: {allowed}"])


def read_tags(folder: Path) -> dict[str, list[str]]:
    """The tags of each run of a sweep that has some, by run_id, in the order in which they were given.

    Raises:
        Damaged: their file is none of these.
    """
    tags: dict[str, dict[str, None]] = {}
    try:
        for row in read_rows(folder / TAGS_TABLE, TAG_COLUMNS):
            its = tags.setdefault(row["run_id"], {})
            if row["change"] == REMOVED:
                its.pop(row["tag"], None)
            else:
                its[row["tag"]] = None
    except FileNotFoundError:
        return {}
    return {identity: list(its) for identity, its in tags.items() if its}


def change_tag(folder: Path, identities: Iterable[str], tag: str, remove: bool = False) -> list[str]:
    """Give runs a tag, or take it from them, and return those for which this changed something.

    Several programs may do so at once, also while the sweep is trained.

    Raises:
        InvalidRequest: it is no tag.
        BnbenchError: another program holds the list for long, or has taken it meanwhile.
    """
    check_tag(tag)
    with tagging(folder) as hold:
        tags = read_tags(folder)
        changed = [identity for identity in dict.fromkeys(identities) if (tag in tags.get(identity, ())) == remove]
        if changed:
            facts = {
                "tag": tag,
                "change": REMOVED if remove else ADDED,
                "time": timestamp("seconds"),
            }
            with closing(RowAppender(folder / TAGS_TABLE, TAG_COLUMNS)) as table:
                hold()
                table.append([{"run_id": identity, **facts} for identity in changed], sync=True)
    return changed
