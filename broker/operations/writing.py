"""The steps in which a plan is carried out."""

from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter

from broker.actors import Actor
from broker.operations.plans import Action, BadConfiguration, Configuration, Difference, Plan
from broker.operations.sections import States, hooks, sections
from broker.registry.config.base import Section
from broker.registry.config.table import Entry, Problem
from broker.registry.values import BadValue


class Writing:
    """The steps of one application, inside its transaction."""

    def __init__(self, configuration: Configuration, plan: Plan, present: States, actor: Actor) -> None:
        self.configuration = configuration
        self.plan = plan
        self.present = present
        self.actor = actor
        self.secrets: dict[str, str] = {}
        self.notes: list[str] = []
        order = TopologicalSorter({name: section.after for name, section in sections().items()}).static_order()
        self.rank = {name: rank for rank, name in enumerate(order)}

    def write(self) -> None:
        """Free what moves to another party, write in the order of references, retire in the opposite order."""
        written = [one for one in self.plan.differences if one.action is not Action.RETIRE]
        retired = [one for one in self.plan.differences if one.action is Action.RETIRE]
        retired.sort(key=lambda one: self.rank[one.section], reverse=True)
        written.sort(key=lambda one: self.rank[one.section])
        wanted = self._wanted_names(written)
        early = [one for one in retired if self._held_names(one) & wanted.keys()]
        for one in early:
            self._guarded(one, self._retire)
        for one in written:
            self._guarded(one, lambda difference, section: self._release(difference, section, wanted))
        for one in written:
            self._guarded(one, self._write)
        for one in retired:
            if one not in early:
                self._guarded(one, self._retire)

    def _guarded(self, difference: Difference, step: Callable[[Difference, Section], None]) -> None:
        try:
            step(difference, sections()[difference.section])
        except BadValue as error:
            path = f"{difference.section}[{difference.key}]"
            raise BadConfiguration([Problem(difference.line or 1, path, str(error))]) from error

    def _wanted_names(self, written: list[Difference]) -> dict[tuple[str, str], str]:
        """{(kind, name): key of the party that is to hold it}"""
        return {
            name: one.key for one in written for name in sections()[one.section].names(one.key, self._entry(one).values)
        }

    def _held_names(self, difference: Difference) -> set[tuple[str, str]]:
        values = self.present[difference.section][difference.key]
        return sections()[difference.section].names(difference.key, values)

    def _release(self, difference: Difference, section: Section, wanted: Mapping[tuple[str, str], str]) -> None:
        """Take away what this party loses to another one, which would else find it taken."""
        for face in difference.dropped_faces:
            section.drop_face(difference.key, face, actor=self.actor)
        for name in section.lists:
            before = difference.changes.get(name, ((), ()))[0] or ()
            kept = [item for item in before if wanted.get((name, item), difference.key) == difference.key]
            if kept != list(before):
                section.change(difference.key, {name: kept}, actor=self.actor)

    def _write(self, difference: Difference, section: Section) -> None:
        values = self._entry(difference).values
        foreign = {name: hook for (place, name), hook in hooks().items() if place == section.name and name in values}
        own = {name: value for name, value in values.items() if name not in foreign}
        step = section.create if difference.action is Action.CREATE else section.change
        written = step(difference.key, own, actor=self.actor)
        for name, hook in foreign.items():
            hook.write(written.party, values[name], actor=self.actor)
        self.secrets |= written.secrets
        self.notes += written.notes

    def _retire(self, difference: Difference, section: Section) -> None:
        section.retire(difference.key, actor=self.actor)

    def _entry(self, difference: Difference) -> Entry:
        return self.configuration.entries[difference.section][difference.key]
