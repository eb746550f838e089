"""The store of results: finished comparisons and their blind votes in one SQLite file, bounded by age and size.

Several processes may write at once (WAL); a killed one leaves nothing half written. A result is opened by its id, which
nobody can guess, so that who may list them and who may open one can be two questions.
"""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from halluapp.data.photos import read_photo, small_jpeg
from halluapp.errors import InputError
from halluapp.report.vote_records import FULL, MOST_VOTES

FILE, VERSION = "results.sqlite", 1
WAIT_SECONDS = 20.0  # for another writer
THUMBNAIL = 160  # pixels of the longer side
DAY = 86_400.0
TABLES = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS results (
    id TEXT PRIMARY KEY, added REAL NOT NULL, date TEXT NOT NULL, model TEXT NOT NULL, prompt TEXT NOT NULL,
    photo TEXT NOT NULL, methods TEXT NOT NULL, thumbnail BLOB NOT NULL, bytes INTEGER NOT NULL, report BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS results_by_age ON results (added);
CREATE TABLE IF NOT EXISTS votes (
    id TEXT PRIMARY KEY, result TEXT NOT NULL REFERENCES results (id) ON DELETE CASCADE, added REAL NOT NULL,
    vote TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS votes_of_result ON votes (result);
PRAGMA user_version = 1;
COMMIT;
"""
GONE = "This link leads to no result any more; open the file that was saved of it."
DAMAGED = "{path} is no store of results ({reason}); move it away, and a new one is begun."
BUSY = "The store of results {path} cannot be used now ({reason}); try again."
NEWER = "{path} was written by a newer version (layout {version}, here {here}); use that one."
MISSING = "There is no store of results in {folder}; give the folder that HALLUAPP_RESULTS names."
UNUSABLE = "The results of this server cannot be used now; its log says why. Try again later."
BROKEN = "This result is damaged and cannot be opened; open the file that was saved of it."
MOST_VOTE_BYTES = 4_000_000  # of one result, so that it can be opened
SIZE = (
    "UPDATE results SET bytes = length(report) + length(thumbnail) + (SELECT coalesce(sum(length(CAST(vote AS BLOB))), "
    "0) FROM votes WHERE result = results.id) WHERE id = ?"
)
logger = logging.getLogger("halluapp.results")


class Unreadable(InputError):
    """One result of a store is damaged; the others can be read."""


class Store:
    """The results in a folder. Every call opens the file for itself, so threads and processes may share a Store."""

    def __init__(self, folder: Path, days: float = 9000, megabytes: float = 10**7, discreet: bool = False):
        """days, megabytes: age and size of what stays; the oldest go first. discreet: errors name the file in the log
        alone, since strangers read them on a page."""
        self.path, self.days, self.megabytes, self.discreet = Path(folder) / FILE, days, megabytes, discreet

    @classmethod
    def existing(cls, folder: Path) -> Store:
        """A store to read from. Raises InputError where there is none."""
        if not (Path(folder) / FILE).is_file():
            raise InputError(MISSING.format(folder=folder))
        return cls(folder)

    def add(self, report: Mapping[str, Any]) -> None:
        """Keeps a report under its id; what it held there before goes, its votes stay. Raises InputError."""
        body = _packed({**report, "votes": []})
        thumbnail = _thumbnail(report)
        methods = json.dumps([panel["method"] for panel in report["panels"]], ensure_ascii=False)
        row = (
            report["id"], time.time(), report.get("date", ""), report["model"]["name"], report["prompt"],
            report["photo"].get("name", ""), methods, thumbnail, len(body) + len(thumbnail), body,
        )  # fmt: skip
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "report = excluded.report",
                row,
            )
            self._measure(connection, report["id"])

    def add_vote(self, result: str, vote: Mapping[str, Any]) -> None:
        """Keeps a vote with a result. Raises InputError where that is gone or has as many votes as it may."""
        with self._writing() as connection:
            if connection.execute("SELECT 1 FROM results WHERE id = ?", (result,)).fetchone() is None:
                raise InputError(GONE)
            query = "SELECT count(*), coalesce(sum(length(CAST(vote AS BLOB))), 0) FROM votes WHERE result = ?"
            count, size = connection.execute(query, (result,)).fetchone()
            text = json.dumps(vote, ensure_ascii=False)
            if count >= MOST_VOTES or size + len(text.encode()) > MOST_VOTE_BYTES:
                raise InputError(FULL)
            connection.execute(
                "INSERT OR IGNORE INTO votes VALUES (?, ?, ?, ?)", (vote["id"], result, time.time(), text)
            )
            self._measure(connection, result)

    def set_flags(self, result: str, change: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
        """Keeps which verdicts of a result people hold to be wrong. change: the kept report -> its flags from now on.
        Raises InputError where the result is gone."""
        with self._writing() as connection:
            row = connection.execute("SELECT report FROM results WHERE id = ?", (result,)).fetchone()
            if row is None:
                raise InputError(GONE)
            report = self._restore(connection, result, row[0])
            body = _packed({**report, "votes": [], "flags": change(report)})
            connection.execute("UPDATE results SET report = ? WHERE id = ?", (body, result))
            self._measure(connection, result)

    def report(self, result: str) -> dict[str, Any]:
        """The report of an id, with all its votes. Raises InputError where it is gone."""
        with self._connected() as connection:
            row = connection.execute("SELECT report FROM results WHERE id = ?", (result,)).fetchone()
            if row is None:
                raise InputError(GONE)
            return self._restore(connection, result, row[0])

    def holds(self, result: str) -> bool:
        """Whether an id leads to a result."""
        with self._connected() as connection:
            return connection.execute("SELECT 1 FROM results WHERE id = ?", (result,)).fetchone() is not None

    def newest(self, most: int) -> list[dict[str, Any]]:
        """The newest results: id, date, added (seconds since 1970), model, prompt, photo, methods, thumbnail (JPEG
        bytes, or b"" without a photo), votes."""
        query = (
            "SELECT id, date, added, model, prompt, photo, methods, thumbnail, "
            "(SELECT count(*) FROM votes WHERE result = results.id) AS votes FROM results ORDER BY added DESC LIMIT ?"
        )
        with self._connected() as connection:
            cursor = connection.execute(query, (most,))
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return [{**row, "methods": _names(row["methods"])} for row in rows]

    def with_votes(self, damage: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """Every report that has votes, the newest first, one after the other.

        damage: takes the ids of results that cannot be read, which are left out; without it they are an InputError.
        """
        query = "SELECT id FROM results WHERE id IN (SELECT result FROM votes) ORDER BY added DESC, id"
        with self._connected() as connection:
            ids = [row[0] for row in connection.execute(query)]
        yield from self._each(ids, damage)

    def all(self, damage: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """Every report, the newest first. damage: as for `with_votes`."""
        with self._connected() as connection:
            ids = [row[0] for row in connection.execute("SELECT id FROM results ORDER BY added DESC")]
        yield from self._each(ids, damage)

    def _each(self, ids: list[str], damage: list[str] | None) -> Iterator[dict[str, Any]]:
        for result in ids:
            try:
                with self._connected() as connection:
                    row = connection.execute("SELECT report FROM results WHERE id = ?", (result,)).fetchone()
                    if row is None:  # deleted by its age meanwhile
                        continue
                    report = self._restore(connection, result, row[0])
            except Unreadable:
                if damage is None:
                    raise
                damage.append(result)
                continue
            yield report

    def delete(self, result: str) -> None:
        """Deletes a result with its votes. Raises InputError where there is none of this id."""
        with self._writing() as connection:
            if not connection.execute("DELETE FROM results WHERE id = ?", (result,)).rowcount:
                raise InputError(GONE)

    def prune(self) -> None:
        """Deletes what is too old, then the oldest until the rest is small enough; gives the room back to the disk."""
        if self.path.exists():
            with self._writing() as connection:
                self._prune(connection)
            with self._connected() as connection:
                connection.execute("PRAGMA incremental_vacuum").fetchall()

    def _measure(self, connection: sqlite3.Connection, result: str) -> None:
        """Notes how much room a result takes now, votes included, and makes that room."""
        connection.execute(SIZE, (result,))
        self._prune(connection)

    def _prune(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM results WHERE added < ?", (time.time() - self.days * DAY,))
        connection.execute(
            "DELETE FROM results WHERE id IN (SELECT id FROM (SELECT id, sum(bytes) OVER (ORDER BY added DESC, id) "
            "AS total, row_number() OVER (ORDER BY added DESC, id) AS number FROM results) "
            "WHERE total > ? AND number > 1)",
            (self.megabytes * 1_000_000,),
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
            connection.text_factory = _text
            self._prepare(connection)
            yield connection
        except sqlite3.OperationalError as error:
            raise self._fault(BUSY, reason=error) from error
        except sqlite3.DatabaseError as error:
            raise self._fault(DAMAGED, reason=error) from error
        except OSError as error:
            raise self._fault(BUSY, reason=error.strerror) from error
        finally:
            if connection:
                connection.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise self._fault(NEWER, version=version, here=VERSION)
        if version < VERSION:
            connection.executescript(TABLES)
            self.path.chmod(0o600)  # photos and prompts of people

    def _fault(self, sentence: str, **values: Any) -> InputError:
        """What is wrong with the file, for who runs it; `UNUSABLE` for anybody else."""
        text = sentence.format(path=self.path, **values)
        if not self.discreet:
            return InputError(text)
        logger.warning("%s", text)
        return InputError(UNUSABLE)

    def _restore(self, connection: sqlite3.Connection, result: str, body: bytes) -> dict[str, Any]:
        votes = connection.execute("SELECT vote FROM votes WHERE result = ? ORDER BY added", (result,)).fetchall()
        try:
            report = {**json.loads(zlib.decompress(body)), "votes": [json.loads(row[0]) for row in votes]}
            if not all(isinstance(vote, dict) for vote in report["votes"]):
                raise ValueError("a vote is no object")
            return report
        except (zlib.error, ValueError, TypeError) as error:
            logger.warning("The result %s in %s is damaged: %s", result, self.path, error)
            raise Unreadable(BROKEN) from error


def _text(raw: bytes) -> str:
    """A text of the file; one that is damaged must not keep the others from being read."""
    return raw.decode("utf-8", "replace")


def _names(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except ValueError:  # damaged
        names = []
    return [str(name) for name in names] if isinstance(names, list) else []


def _packed(report: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(report, ensure_ascii=False).encode())


def _thumbnail(report: Mapping[str, Any]) -> bytes:
    from halluapp.report import preview_bytes

    photo = preview_bytes(report)
    return small_jpeg(read_photo(photo), THUMBNAIL) if photo else b""


def thumbnail_address(thumbnail: bytes) -> str:
    """A thumbnail as the address of an image in a page; "" for none."""
    return "data:image/jpeg;base64," + base64.b64encode(thumbnail).decode() if thumbnail else ""
