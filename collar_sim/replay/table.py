"""A recording's columns as arrays, from Parquet or CSV; what is wrong is said by column."""

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collar_sim.arrays import FloatArray
from collar_sim.errors import SimulatorError
from collar_sim.replay.errors import RecordingError

MAX_ROWS = 20_000_000  # two weeks at 16 Hz; about 1.5 GB while it is replayed
MAX_CSV_BYTES = 4 * 2**30  # read whole, before its rows can be counted
MAX_HEADER_BYTES = 65_536
MAX_WORD_BYTES = 200
MAGIC = b"PAR1"
DELIMITERS = ",;\t"
DECIMAL_COMMA = re.compile(r"(^|[;\t])-?\d+,\d+([;\t]|$)")

CodeArray = NDArray[np.int32]


@dataclass(frozen=True)
class Words:
    """A column of a few words: each row's index into ``words``, -1 where it has none."""

    codes: CodeArray
    words: list[str]


@dataclass(frozen=True)
class TableFile:
    """A file whose header was read; ``read`` brings the columns that are needed."""

    path: Path
    names: list[str]
    is_parquet: bool
    delimiter: str = ","
    decimal_point: str = "."

    @classmethod
    def open(cls, path: Path) -> "TableFile":
        """The file, if it is a table that is not too large.

        Raises:
            RecordingError: It is not there, is none, or is too large.
            SimulatorError: pyarrow is not installed.
        """
        try:
            if path.is_dir():
                raise RecordingError(f"{path} is a folder; name one Parquet or CSV file in it")
            with path.open("rb") as file:
                head = file.read(MAX_HEADER_BYTES)
            size_bytes = path.stat().st_size
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from error
        if not head:
            raise RecordingError(f"{path} is empty")
        if head.startswith(MAGIC):
            return cls(path, _parquet_names(path), is_parquet=True)
        if size_bytes > MAX_CSV_BYTES:
            raise RecordingError(
                f"{path} has {size_bytes / 2**30:.1f} GiB; a CSV may have "
                f"{MAX_CSV_BYTES / 2**30:.0f}. Split it by animal, or convert it to Parquet"
            )
        return _csv_file(path, head)

    def read(self, names: list[str]) -> "Table":
        """These columns.

        Raises:
            RecordingError: The file is damaged, has no rows, or too many.
        """
        arrow: Any = _arrow()
        try:
            columns = self._parquet(names) if self.is_parquet else self._csv(names)
        except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            said = str(error).splitlines()[0]
            raise RecordingError(f"{self.path} cannot be read: {said}") from error
        if columns.num_rows == 0:
            raise RecordingError(f"{self.path} has a header and no rows")
        _require_few(self.path, columns.num_rows)
        return Table(self.path, columns.num_rows, {n: columns.column(n) for n in names})

    def require(self, name: str, option: str, what: str) -> str:
        """The column's name, if there is such a column.

        Raises:
            RecordingError: There is none; says which there are.
        """
        if name in self.names:
            return name
        raise RecordingError(
            f"{self.path.name} has no column {name!r} for {what}. "
            f"It has: {', '.join(self.names[:40])}. Name the right one with {option}"
        )

    def _parquet(self, names: list[str]) -> Any:
        arrow: Any = _arrow()
        parquet: Any = import_module("pyarrow.parquet")
        with parquet.ParquetFile(self.path) as file:
            schema = file.schema_arrow
        # a text that repeats stays one text: read out, a small file may fill any memory
        texts = [n for n in names if is_text(arrow, schema.field(n).type)]
        return parquet.read_table(self.path, columns=names, read_dictionary=texts)

    def _csv(self, names: list[str]) -> Any:
        reader: Any = import_module("pyarrow.csv")
        return reader.read_csv(
            self.path,
            read_options=reader.ReadOptions(column_names=self.names, skip_rows=1),
            parse_options=reader.ParseOptions(delimiter=self.delimiter),
            convert_options=reader.ConvertOptions(
                include_columns=names, decimal_point=self.decimal_point, strings_can_be_null=True
            ),
        )


@dataclass(frozen=True)
class Table:
    """Columns as they were stored."""

    path: Path
    rows: int
    columns: dict[str, Any] = field(repr=False)

    def numbers(self, name: str) -> FloatArray:
        """A column of numbers; NaN where there is none.

        Raises:
            RecordingError: It holds something else, or nothing at all.
        """
        arrow, column = plain_column(self.columns[name], name)
        kind = arrow.types
        if kind.is_boolean(column.type) or kind.is_temporal(column.type):
            raise RecordingError(f"column {name} holds {column.type}, where numbers are needed")
        try:
            values = column.cast(arrow.float64())
        except (arrow.ArrowException, NotImplementedError):
            raise RecordingError(
                f"column {name} holds {_first_word(column)}, where numbers are needed. "
                "Name another column, or leave out these rows"
            ) from None
        numbers = np.asarray(values.to_numpy(), np.float64).copy()
        if not np.isfinite(numbers).any():
            raise RecordingError(f"column {name} holds no number in any row. Name another column")
        return numbers

    def words(self, name: str) -> Words:
        """A column of a few words, spaces around them left out; empty ones are none."""
        arrow, column = plain_column(self.columns[name], name)
        compute: Any = import_module("pyarrow.compute")
        try:
            texts = compute.utf8_trim_whitespace(column.cast(arrow.string()))
        except (arrow.ArrowException, NotImplementedError) as error:
            raise RecordingError(f"column {name} holds no words: {error}") from None
        coded = texts.combine_chunks().dictionary_encode()
        if isinstance(coded, arrow.ChunkedArray):
            coded = coded.combine_chunks()
        words = [str(each) for each in coded.dictionary.to_pylist()]
        codes = np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int32)
        if "" in words:
            codes = np.where(codes == words.index(""), -1, codes).astype(np.int32)
        return Words(codes, words)


def plain_column(column: Any, name: str) -> tuple[Any, Any]:
    """The arrow library, and a column without a dictionary.

    Raises:
        RecordingError: It holds texts, and no words: repeated, they would fill any memory.
    """
    arrow: Any = _arrow()
    if not arrow.types.is_dictionary(column.type):
        return arrow, column
    if is_text(arrow, column.type.value_type):
        compute: Any = import_module("pyarrow.compute")
        for chunk in column.chunks:
            longest = compute.max(compute.binary_length(chunk.dictionary)).as_py() or 0
            if longest > MAX_WORD_BYTES:
                raise RecordingError(
                    f"column {name} holds a text of {longest} bytes, where words or instants are "
                    "needed. Name another column"
                )
    return arrow, column.cast(column.type.value_type)


def is_text(arrow: Any, kind: Any) -> bool:
    """Whether a column of this type holds texts, of whatever length."""
    types = arrow.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _first_word(column: Any) -> str:
    for row, each in enumerate(column.to_pylist()):
        try:
            float("nan" if each is None else each)
        except (TypeError, ValueError):
            return f"{str(each)[:40]!r} in row {row + 1}"
    return f"{column.type}"


def _parquet_names(path: Path) -> list[str]:
    arrow: Any = _arrow()
    parquet: Any = import_module("pyarrow.parquet")
    try:
        file = parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError) as error:
        said = str(error).splitlines()[0]
        raise RecordingError(f"{path} is damaged: it begins as Parquet, but {said}") from error
    with file:
        _require_few(path, file.metadata.num_rows)
        names = list(file.schema_arrow.names)
    _require_different(path, names)
    return names


def _csv_file(path: Path, head: bytes) -> TableFile:
    try:
        if b"\0" in head:
            raise ValueError("binary")
        # the head may end within a character
        text = head.decode(
            "utf-8-sig", errors="ignore" if len(head) == MAX_HEADER_BYTES else "strict"
        )
    except ValueError:
        raise RecordingError(f"{path} is neither Parquet nor CSV in UTF-8") from None
    lines = text.splitlines()
    if not lines[0].strip():
        raise RecordingError(f"{path} begins with an empty line, where the column names belong")
    delimiter = max(DELIMITERS, key=lines[0].count)
    names = [each.strip() for each in next(csv.reader([lines[0]], delimiter=delimiter))]
    if all(re.fullmatch(r"-?[\d.,eE+-]*", each) for each in names):
        raise RecordingError(f"{path} has no header line; the first line must name the columns")
    _require_different(path, names)
    comma = len(lines) > 1 and delimiter != "," and DECIMAL_COMMA.search(lines[1])
    return TableFile(path, names, False, delimiter, "," if comma else ".")


def _require_different(path: Path, names: list[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise RecordingError(f"{path} has several columns called {', '.join(map(repr, twice))}")


def _require_few(path: Path, rows: int) -> None:
    if rows > MAX_ROWS:
        raise RecordingError(
            f"{path} has {rows:,} rows; {MAX_ROWS:,} can be replayed at once. "
            "Split it, for example by animal"
        )


def _arrow() -> Any:
    try:
        return import_module("pyarrow")
    except ImportError as error:
        raise SimulatorError(
            "Replaying needs pyarrow. Install it with: pip install pyarrow"
        ) from error
