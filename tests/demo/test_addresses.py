"""The company's files follow the port that was chosen."""

from pathlib import Path

from demo.addresses import Addresses

DEMO = Path(__file__).resolve().parents[2] / "demo"


def test_other_ports_replace_the_usual_ones_wherever_they_stand() -> None:
    usual, other = Addresses(8000), Addresses(9000)
    for name in ("company.yaml", "clicks.json"):
        text = (DEMO / name).read_text()
        assert usual.readdress(text) == text
        assert "localhost:80" in text
        assert "localhost:80" not in other.readdress(text)


def test_ports_that_overlap_with_the_usual_ones_are_not_replaced_twice() -> None:
    usual, other = Addresses(8000), Addresses(8002)
    assert other.readdress(f"{usual.hr} {usual.broker} {usual.crm}") == f"{other.hr} {other.broker} {other.crm}"


def test_every_process_has_a_port_of_its_own() -> None:
    addresses = Addresses(9000)
    assert sorted(addresses.ports.values()) == [9001, 9002, 9003, 9004, 9005, 9006]
