"""Which cell comes before which: mixed batches, and passive replicas before active ones."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from rollout.types import CellFacts, Replicas

Blockers = dict[str, set[str]]
"""Cells by the cell that waits for them."""


def mixed(cells: Iterable[CellFacts]) -> list[str]:
    """Return the cells by turns of provider, then of region, those with few namespaces first.

    So an early batch meets many kinds of surroundings, and little at stake.
    """
    regions: dict[tuple[str, str], list[CellFacts]] = defaultdict(list)
    for cell in cells:
        regions[cell.provider, cell.region].append(cell)
    providers: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for (provider, _), there in regions.items():
        there.sort(key=lambda cell: (cell.namespaces, cell.id))
        providers[provider] += [(turn, cell.namespaces, cell.id) for turn, cell in enumerate(there)]
    turns: list[tuple[int, int, str, str]] = []
    for provider, by_region in providers.items():
        by_region.sort()
        turns += [
            (turn, namespaces, provider, cell)
            for turn, (_, namespaces, cell) in enumerate(by_region)
        ]
    return [cell for *_, cell in sorted(turns)]


def pick(
    ordered: Sequence[str], most: int, blockers: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    """Return the first cells, at most so many, none without those of `blockers` it waits for."""
    if most >= len(ordered) and not blockers:
        return tuple(ordered)
    place = {cell: n for n, cell in enumerate(ordered)}
    missing: dict[str, int] = {}
    waiting: dict[str, list[str]] = defaultdict(list)
    for cell in ordered:
        before = blockers.get(cell, ())
        missing[cell] = len(before)
        for other in before:
            waiting[other].append(cell)
    free = [place[cell] for cell in ordered if not missing[cell]]
    picked: list[str] = []
    while free and len(picked) < most:
        cell = ordered[heapq.heappop(free)]
        picked.append(cell)
        for other in waiting[cell]:
            missing[other] -= 1
            if not missing[other]:
                heapq.heappush(free, place[other])
    return tuple(picked)


def passive_first(
    replicas: Iterable[Replicas], rings: Mapping[str, int], *, across_rings: bool = False
) -> Blockers:
    """Return which of these cells (with their rings) wait for which: active sides for passive ones.

    A passive cell in a later ring is not waited for: the order of rings comes first. In a circle
    (one cell is active for this namespace, the other for that) the cell with the fewest active
    namespaces goes first, so that somebody does.
    """
    blockers: Blockers = defaultdict(set)
    actives: dict[str, int] = defaultdict(int)
    for each in replicas:
        active = each.active
        actives[active] += 1
        if active not in rings:
            continue
        for passive in each.passive:
            if passive == active or passive not in rings:
                continue
            if across_rings or rings[passive] <= rings[active]:
                blockers[active].add(passive)
    circle = _circles(blockers)
    for cell, before in blockers.items():
        if cell in circle:
            own = (actives[cell], cell)
            blockers[cell] = {
                other
                for other in before
                if circle.get(other) != circle[cell] or (actives[other], other) < own
            }
    return {cell: before for cell, before in blockers.items() if before}


def _circles(edges: Mapping[str, Collection[str]]) -> dict[str, int]:
    """Return the number of its circle for each cell that is in one (R. Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    circles: dict[str, int] = {}
    for root in sorted(edges):
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(sorted(edges[root])))]
        while work:
            cell, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(sorted(edges.get(other, ())))))
                    break
                if other in on_stack:
                    low[cell] = min(low[cell], index[other])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[cell])
                if low[cell] == index[cell]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == cell:
                            break
                    if len(component) > 1:
                        circles |= dict.fromkeys(component, index[cell])
    return circles
