"""Search: conditions become one SQL query that starts from the most selective index and checks the others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wardround.environments.fhir.dates import compare, parse_search_date
from wardround.environments.fhir.definitions import SearchParameter, definitions
from wardround.environments.fhir.extract import ID, parameter_paths
from wardround.environments.fhir.outcome import bad_request
from wardround.environments.fhir.searching.conditions import AnyOf, Chain, Condition, Criterion, Has, find_parameter
from wardround.environments.fhir.searching.paging import Cursor
from wardround.environments.fhir.searching.query import Include, SearchRequest
from wardround.environments.fhir.searching.values import joined, row_test
from wardround.environments.fhir.store import Sql, Store, Version, View

_PROBED = 500
"""How many rows are counted at most to learn which condition is selective."""
MAX_INCLUDED = 10_000
"""Most resources that one page may include beside its matches."""


@dataclass(frozen=True)
class Page:
    """One page of what was found."""

    matches: tuple[Version, ...]
    included: tuple[Version, ...]
    total: int | None
    """Over all pages, without what is included; None where it was not asked for."""
    following: Cursor | None
    """Where the next page begins."""


@dataclass(frozen=True)
class _Part:
    """A condition as SQL."""

    check: str
    """Condition on the version `v`."""
    arguments: Sequence[Any]
    source: str | None = None
    """Query for the rows (`pk`) that fulfil it, where an index can give them."""
    is_sought: bool = True
    """Whether that index leads to the rows at once, rather than through others that do not fulfil it."""
    is_single: bool = False
    """Whether it gives a version once at most, in the order of writing."""


class Search:
    """Searches in one state of the record.

    Args:
        store: The database.
        view: What the state sees.
        base: Base URL of the server, to recognise absolute references to its own resources.
    """

    def __init__(self, store: Store, view: View, *, base: str = "") -> None:
        self._store, self._view, self._base = store, view, base

    def page(self, request: SearchRequest, cursor: Cursor) -> Page:
        """Return the page that begins at a cursor.

        Raises:
            FhirError: 400, for values that are not of their parameter's type.
        """
        here = Search(self._store, self._view.at(cursor.snapshot), base=self._base)
        return here._page(request, cursor)

    def _page(self, request: SearchRequest, cursor: Cursor) -> Page:
        source, arguments = self._matching(request.type, request.conditions)
        if request.is_count_only:
            return Page((), (), self._count(source, arguments), None)
        order, keys = self._order(request)
        limit = request.count + 1
        start, more = ("AND v.pk > ?", [cursor.after]) if cursor.after else ("", [])
        rows = self._store.db.execute(
            f"SELECT v.pk {source} {start} ORDER BY {order} LIMIT ? OFFSET ?",
            [*arguments, *more, *keys, limit, cursor.offset],
        ).fetchall()
        pks = [pk for (pk,) in rows[: request.count]]
        is_last = len(rows) < limit
        total = cursor.total
        if total is None and request.with_total:
            is_whole = is_last and not cursor.offset and not cursor.after
            total = len(pks) if is_whole else self._count(source, arguments)
        following = None if is_last else self._next(request, cursor, pks, total)
        return Page(
            matches=tuple(self._store.versions(pks)),
            included=self._included(request, pks),
            total=total,
            following=following,
        )

    def _next(self, request: SearchRequest, cursor: Cursor, pks: list[int], total: int | None) -> Cursor:
        if request.sort:
            return replace(cursor, offset=cursor.offset + len(pks), total=total)
        return replace(cursor, after=pks[-1], total=total)

    def _count(self, source: str, arguments: Sequence[Any]) -> int:
        return int(self._store.db.execute(f"SELECT count(*) {source}", arguments).fetchone()[0])

    def keys(self, type_: str, conditions: Sequence[Condition]) -> list[int]:
        """Return the identity numbers of all matching resources."""
        source, arguments = self._matching(type_, conditions)
        return [key for (key,) in self._store.db.execute(f"SELECT v.key {source}", arguments)]

    def all(self, type_: str, conditions: Sequence[Condition]) -> list[Version]:
        """Return all matching resources, in the order of writing."""
        return self._store.versions(self._rows_of(type_, conditions))

    def _rows_of(self, type_: str, conditions: Sequence[Condition]) -> list[int]:
        source, arguments = self._matching(type_, conditions)
        return [pk for (pk,) in self._store.db.execute(f"SELECT v.pk {source} ORDER BY v.pk", arguments)]

    # -- conditions -----------------------------------------------------------------------------------------

    def _matching(self, type_: str, conditions: Sequence[Condition]) -> Sql:
        """Return `FROM ... WHERE ...` with a version `v` for every resource that fulfils all conditions."""
        parts = [self._part(condition) for condition in conditions]
        driver = self._most_selective(parts)
        seen, seen_arguments = self._view.seen("v")
        checks = [part for part in parts if part is not driver]
        where = joined(["v.type = ?", "v.body IS NOT NULL", seen, *(part.check for part in checks)], "AND")
        arguments = [type_, *seen_arguments, *(a for part in checks for a in part.arguments)]
        if driver is None:
            return f"FROM version v WHERE {where}", arguments
        rows = driver.source if driver.is_single else f"SELECT DISTINCT pk FROM ({driver.source})"
        return f"FROM ({rows}) d CROSS JOIN version v ON v.pk = d.pk WHERE {where}", [*driver.arguments, *arguments]

    def _most_selective(self, parts: Sequence[_Part]) -> _Part | None:
        sources = [part for part in parts if part.source is not None]
        sources = [part for part in sources if part.is_sought] or sources
        if len(sources) < 2 or not sources[0].is_sought:
            return sources[0] if sources else None
        return min(sources, key=self._rows)

    def _rows(self, part: _Part) -> int:
        probe = f"SELECT count(*) FROM (SELECT 1 FROM ({part.source}) LIMIT {_PROBED})"
        return int(self._store.db.execute(probe, part.arguments).fetchone()[0])

    def _part(self, condition: Condition) -> _Part:
        if isinstance(condition, Chain):
            return self._chain(condition)
        if isinstance(condition, Has):
            return self._has(condition)
        if isinstance(condition, AnyOf):
            return _any([self._criterion(criterion) for criterion in condition.criteria])
        return self._criterion(condition)

    def _criterion(self, criterion: Criterion) -> _Part:
        name = criterion.parameter.name
        if criterion.modifier == "missing":
            return self._missing(criterion)
        if name == "_id":
            return self._id(criterion)
        if name == "_lastUpdated":
            return self._updated(criterion)
        test = row_test(self._store, criterion, base=self._base)
        paths = parameter_paths(criterion.type, criterion.parameter)
        part = _rows_part(test.table, paths, f" AND ({test.where})", test.arguments, is_single=test.is_single)
        if criterion.modifier == "not":
            return _Part(f"NOT {part.check}", part.arguments)
        return part

    def _missing(self, criterion: Criterion) -> _Part:
        if criterion.parameter.name in ("_id", "_lastUpdated"):
            return _Part("0" if criterion.values[0] == "true" else "1", [])
        table = "quantity" if criterion.parameter.type == "number" else criterion.parameter.type
        paths = parameter_paths(criterion.type, criterion.parameter)
        where, types = _narrowed(criterion.parameter)
        part = _rows_part(table, paths, where, types)
        bare = _rows_part("bare", paths, "", ())
        check = f"({part.check} OR {bare.check})"
        return _Part(f"NOT {check}" if criterion.values[0] == "true" else check, [*part.arguments, *bare.arguments])

    def _id(self, criterion: Criterion) -> _Part:
        for value in criterion.values:
            if not ID.fullmatch(value):
                raise bad_request(f"_id={value} is no id; write it alone, without the type, such as _id=123", "_id")
        ids = f"SELECT key FROM identity WHERE type = ? AND id IN ({','.join('?' * len(criterion.values))})"
        arguments = [criterion.type, *criterion.values]
        if criterion.modifier == "not":
            return _Part(f"v.key NOT IN ({ids})", arguments)
        return _Part(f"v.key IN ({ids})", arguments, f"SELECT pk FROM version WHERE key IN ({ids})")

    def _updated(self, criterion: Criterion) -> _Part:
        tests = []
        for value in criterion.values:
            prefix, _, wanted = parse_search_date(value, parameter="_lastUpdated")
            tests.append(compare(prefix, "v.updated", "v.updated", wanted))
        return _Part(joined([t[0] for t in tests], "OR"), [a for t in tests for a in t[1]])

    def _chain(self, chain: Chain) -> _Part:
        keys = [key for type_, inner in chain.branches for key in self.keys(type_, [inner])]
        paths = parameter_paths(chain.type, chain.parameter)
        return _rows_part("reference", paths, " AND target IN (SELECT value FROM json_each(?))", (json.dumps(keys),))

    def _has(self, has: Has) -> _Part:
        pointing = self._rows_of(has.source, [has.inner])
        keys = sorted(self._targets(pointing, parameter_paths(has.source, has.parameter)))
        listed = "SELECT value FROM json_each(?)"
        return _Part(f"v.key IN ({listed})", [json.dumps(keys)], f"SELECT pk FROM version WHERE key IN ({listed})")

    def _targets(self, pks: Iterable[int], paths: Sequence[int]) -> set[int]:
        rows = self._store.db.execute(
            f"SELECT target FROM reference WHERE pk IN (SELECT value FROM json_each(?)) AND {_paths(paths)}",
            [json.dumps(list(pks)), *paths],
        )
        return {key for (key,) in rows}

    # -- order ----------------------------------------------------------------------------------------------

    def _order(self, request: SearchRequest) -> Sql:
        if not request.sort:
            return "v.pk", []
        clauses: list[str] = []
        arguments: list[Any] = []
        for name, is_descending in request.sort:
            expression, paths = _sort_expression(request.type, name, is_descending)
            clauses += [f"({expression}) IS NULL", f"({expression}) {'DESC' if is_descending else 'ASC'}"]
            arguments += [*paths, *paths]
        clauses.append("(SELECT i.id FROM identity i WHERE i.key = v.key)")
        return ", ".join(clauses), arguments

    # -- includes -------------------------------------------------------------------------------------------

    def _included(self, request: SearchRequest, pks: list[int]) -> tuple[Version, ...]:
        if not (request.includes or request.revincludes) or not pks:
            return ()
        found: dict[int, None] = {}
        for include in request.includes:
            found |= dict.fromkeys(self._pointed_to(include, pks))
        for include in request.revincludes:
            found |= dict.fromkeys(self._pointing(include, pks))
        matches = set(pks)
        chosen = [pk for pk in found if pk not in matches]
        if len(chosen) > MAX_INCLUDED:
            raise bad_request(
                f"a page would include {len(chosen)} resources, more than {MAX_INCLUDED}; lower _count", "_include"
            )
        return tuple(self._store.versions(chosen))

    def _pointed_to(self, include: Include, pks: list[int]) -> list[int]:
        keys = self._targets(pks, _include_paths(include.source, include.parameter))
        seen, arguments = self._view.seen("v")
        types = (include.target,) if include.target else include.parameter.targets if include.parameter else ()
        narrowed = f" AND v.type IN ({','.join('?' * len(types))})" if types else ""
        rows = self._store.db.execute(
            f"SELECT v.pk FROM version v WHERE v.key IN (SELECT value FROM json_each(?))"
            f" AND v.body IS NOT NULL AND {seen}{narrowed} ORDER BY v.pk",
            [json.dumps(sorted(keys)), *arguments, *types],
        )
        return [pk for (pk,) in rows]

    def _pointing(self, include: Include, pks: list[int]) -> list[int]:
        paths = _include_paths(include.source, include.parameter)
        seen, arguments = self._view.seen("v")
        rows = self._store.db.execute(
            f"SELECT DISTINCT v.pk FROM reference r JOIN version v ON v.pk = r.pk WHERE {_paths(paths, 'r.')}"
            " AND r.target IN (SELECT key FROM version WHERE pk IN (SELECT value FROM json_each(?)))"
            f" AND v.body IS NOT NULL AND {seen} ORDER BY v.pk",
            [*paths, json.dumps(pks), *arguments],
        )
        return [pk for (pk,) in rows]


def _any(parts: Sequence[_Part]) -> _Part:
    return _Part(
        joined([part.check for part in parts], "OR"),
        [argument for part in parts for argument in part.arguments],
        " UNION ALL ".join(str(part.source) for part in parts),
        is_sought=all(part.is_sought for part in parts),
    )


def _narrowed(parameter: SearchParameter) -> tuple[str, Sequence[str]]:
    """Return the condition that a reference is to one of the parameter's types, and those types.

    `patient` and `subject` read one place, and a group there is no patient. Of a URI the type is not known.
    """
    if parameter.type != "reference" or not parameter.targets:
        return "", ()
    marks = ",".join("?" * len(parameter.targets))
    types = f"SELECT 1 FROM identity i WHERE i.key = target AND i.type IN ('', {marks})"
    return f" AND EXISTS ({types})", parameter.targets


def _rows_part(
    table: str, paths: Sequence[int], where: str, arguments: Sequence[Any], *, is_single: bool = False
) -> _Part:
    rows = f"{_paths(paths)}{where}"
    return _Part(
        f"EXISTS (SELECT 1 FROM {table} x WHERE x.pk = v.pk AND {rows})",
        [*paths, *arguments],
        f"SELECT pk FROM {table} WHERE {rows}",
        is_sought=table not in ("date", "quantity") and "instr(" not in where,
        is_single=is_single and len(paths) == 1,
    )


def _paths(paths: Sequence[int], alias: str = "") -> str:
    return f"{alias}path = ?" if len(paths) == 1 else f"{alias}path IN ({','.join('?' * len(paths))})"


def _include_paths(type_: str, parameter: SearchParameter | None) -> tuple[int, ...]:
    if parameter is not None:
        return parameter_paths(type_, parameter)
    own = definitions().types[type_].parameters.values()
    return tuple({path for p in own if p.type == "reference" for path in parameter_paths(type_, p)})


_SORTED_BY = {
    "date": ("lo", "hi", "date"),
    "string": ("folded", "folded", "string"),
    "quantity": ("lo", "hi", "quantity"),
    "number": ("lo", "hi", "quantity"),
    "uri": ("value", "value", "uri"),
}


def _sort_expression(type_: str, name: str, is_descending: bool) -> tuple[str, tuple[int, ...]]:
    if name == "_lastUpdated":
        return "v.updated", ()
    if name == "_id":
        return "SELECT i.id FROM identity i WHERE i.key = v.key", ()
    parameter = find_parameter(type_, name, what="_sort")
    paths = parameter_paths(type_, parameter)
    pick = "MAX" if is_descending else "MIN"
    if parameter.type == "token":
        rows, value = "token x JOIN term t ON t.key = x.term", "t.folded"
    elif parameter.type == "reference":
        rows, value = "reference x JOIN identity i ON i.key = x.target", "i.type || '/' || i.id"
    else:
        low, high, table = _SORTED_BY[parameter.type]
        rows, value = f"{table} x", high if is_descending else low
    return f"SELECT {pick}({value}) FROM {rows} WHERE x.pk = v.pk AND {_paths(paths, 'x.')}", paths
