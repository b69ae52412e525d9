"""`Query`: a statement of SQLAlchemy Core, compiled once for each engine and run by its driver.

SQLAlchemy writes the SQL of both engines. It does not run it: of the hundred entries of a batch its
own execution takes several times what the driver takes (docs/decisions/0039).

A query is a constant of its module. Its values have names, by `bindparam`. What one engine spells
otherwise than the other has a construct here.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Dialect,
    FromClause,
    Table,
    bindparam,
    insert,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect
from sqlalchemy.dialects.sqlite.pysqlite import dialect as pysqlite_dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Text


def _spelling(dialect: Any) -> Dialect:
    """Return a dialect that writes constants into the SQL.

    With a bound constant SQLite would not use an index that is `WHERE kind = 'top_up'`.
    """

    class Compiler(dialect.statement_compiler):  # type: ignore[misc]
        def visit_bindparam(self, bindparam: BindParameter[str], **kw: bool) -> str:
            if not bindparam.required:
                kw["literal_binds"] = True
            return str(super().visit_bindparam(bindparam, **kw))

    dialect.statement_compiler = Compiler
    return dialect  # type: ignore[no-any-return]


SQLITE = _spelling(pysqlite_dialect(paramstyle="qmark"))
POSTGRESQL = _spelling(psycopg_dialect(paramstyle="format"))  # type: ignore[no-untyped-call]

Value = str | int | bytes | None
"""What a column holds, and what is bound to a query."""
Values = Mapping[str, Value]
Bind = Callable[[Values], tuple[Value, ...]]
Expression = ColumnElement[Any]
Rows = FromClause


class Query:
    """A statement. `bind` of what `on` returns puts named values into the driver's order."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, Bind]] = {}

    def on(self, dialect: Dialect) -> tuple[str, Bind]:
        """Return the SQL of an engine, and what orders its values."""
        try:
            return self._compiled[dialect.name]
        except KeyError:
            compiled = self._statement.compile(dialect=dialect)
            ready = self._compiled[dialect.name] = (str(compiled), _binder(compiled))
            return ready


def _binder(compiled: Any) -> Bind:
    match compiled.positiontup or []:
        case []:
            return lambda values: ()
        case [name]:
            return lambda values: (values[name],)
        case names:
            return itemgetter(*names)


def put(table: Table) -> Query:
    """Return the query that writes a row, in place of one with the same key."""
    return _Put(table)


class _Put(Query):
    def __init__(self, table: Table) -> None:
        super().__init__(None)
        self._table = table

    def on(self, dialect: Dialect) -> tuple[str, Bind]:
        if self._statement is None or dialect.name not in self._compiled:
            makes = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect.name]
            new: Any = makes(self._table)
            keys = list(self._table.primary_key.columns)
            rest = {c.name: new.excluded[c.name] for c in self._table.c if not c.primary_key}
            self._statement = new.on_conflict_do_update(index_elements=keys, set_=rest)
        return super().on(dialect)


def value(name: str) -> Expression:
    """Return a named value of a query."""
    return bindparam(name)


@cache
def adding(table: Table, columns: tuple[str, ...]) -> Query:
    """Return the query that adds a row to a table; its values have the names of the columns."""
    return Query(insert(table).values({name: bindparam(name) for name in columns}))


# -- what the engines spell differently --------------------------------------------------------


def _spelled(name: str, **templates: str) -> type[FunctionElement[Any]]:
    """Return a construct from its text on each engine.

    `{0}`, `{1}` are its arguments, `{all}` are all of them with commas between.
    """
    construct = type(name, (FunctionElement,), {"name": name, "inherit_cache": True})
    for engine, template in templates.items():
        compiles(construct, engine)(partial(_write, template))
    return construct


def _write(template: str, element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    parts = [compiler.process(part, **kw) for part in element.clauses]
    return template.format(*parts, all=", ".join(parts))


_JsonRows = _spelled(
    "json_rows", sqlite="json_each({0})", postgresql="json_array_elements(CAST({0} AS json))"
)
_Member = _spelled("member", sqlite="{0} ->> {1}", postgresql="member({all})")
_Contains = _spelled("contains", sqlite="instr({all}) > 0", postgresql="strpos({all}) > 0")
# of a sub-query in IN PostgreSQL would expect so many rows that it reads the whole table
_Among = _spelled("among", sqlite="{0} IN {1}", postgresql="{0} = ANY(ARRAY{1})")
_Object = _spelled(
    "object_of",
    sqlite="json_object({all})",
    postgresql="CAST(json_build_object({all}) AS text)",
)
_Unindexed = _spelled("unindexed", sqlite="+{0}", postgresql="{0}")


ONE: ColumnElement[int] = literal_column("1")
"""What a query selects that only asks whether there is a row."""


def names(values: Iterable[str]) -> str:
    """Return many values as a value of `among`."""
    return msgspec.json.encode([(value,) for value in values]).decode()


def tuples(values: Iterable[tuple[object, ...]]) -> str:
    """Return many tuples as a value of `rows_of`."""
    return msgspec.json.encode(list(values)).decode()


def rows_of(name: str) -> Rows:
    """Return the tuples of a named value, to select from; `part` has their parts."""
    return _JsonRows(bindparam(name, type_=Text())).table_valued("value").alias(f"{name}_rows")


def part(rows: Rows, n: int) -> Expression:
    """Return part `n` of each tuple, as a text on PostgreSQL."""
    return rows.c.value.op("->>")(literal_column(str(n)))


def among(column: Expression, name: str) -> Expression:
    """Return whether a text column's value is one of those that `names` wrote."""
    return _Among(column, select(part(rows_of(name), 0)).scalar_subquery())


def member(body: Expression, name: str) -> Expression:
    """Return a member of a JSON object in a text column, NULL without one.

    A boolean is 1 or 0 on SQLite, and 'true' or 'false' on PostgreSQL. There it is also NULL where
    the text has a character that PostgreSQL does not know, as `\\u0000`.
    """
    return _Member(body, literal_column(f"'{name}'"))


def contains(column: Expression, text: str | Expression) -> Expression:
    """Return whether a column's text contains a text."""
    return _Contains(column, literal_column(f"'{text}'") if isinstance(text, str) else text)


def object_of(**members: Expression) -> Expression:
    """Return the text of a JSON object."""
    parts: list[tuple[Any, Any]] = [
        (literal_column(f"'{name}'"), column) for name, column in members.items()
    ]
    return _Object(*(each for pair in parts for each in pair))


def unindexed(column: Expression) -> Expression:
    """Return a column for whose condition SQLite uses no index.

    It has no statistics here, and would take the worse of two. PostgreSQL has them.
    """
    return _Unindexed(column)
