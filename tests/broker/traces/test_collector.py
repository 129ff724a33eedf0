"""A collector that nobody reads."""

from broker.traces.collector import Unheard


def test_an_unheard_collector_takes_everything_and_keeps_nothing():
    collector = Unheard()
    collector.check("a", passed=False, expected=1, actual=2)
    collector.message("b", "c")
    collector.note("d", e=1)
    assert collector.entries == []
