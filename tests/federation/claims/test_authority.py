"""An identity provider speaks only for its organisation's proved domains."""

import pytest

from broker.errors import BrokerError
from broker.registry.models import Domain
from broker.traces.collector import Collector
from federation.claims.authority import check_authority, scope_of
from tests.factories import make_identity_provider, make_organisation

pytestmark = pytest.mark.django_db


def judge(values, *, claim="email", organisation=None, **fields):
    identity_provider = make_identity_provider(organisation=organisation or make_organisation(), **fields)
    return check_authority(identity_provider, {claim: values}, trace=Collector())[claim]


@pytest.mark.parametrize("value", ["a@acme.example", "a@ACME.example"])
def test_what_lies_inside_is_kept(value):
    assert judge((value,)) == (value,)


@pytest.mark.parametrize(
    "value",
    [
        "a@globex.example",
        "a@mail.acme.example",
        "a@acme.example.evil.example",
        "a@evil-acme.example",
        "a@evil.example@acme.example",
        "a@acme.example@evil.example",
        "@acme.example",
        "acme.example",
        "a@",
        "a@acme.example.",
        "a@аcme.example",
        "a@acme.e\N{KELVIN SIGN}ample",
        "a\N{FULLWIDTH COMMERCIAL AT}globex.example@acme.example",
        "a\N{ZERO WIDTH SPACE}@acme.example",
        "a b@acme.example",
        "a\nBcc: b@acme.example",
        "",
    ],
)
@pytest.mark.parametrize("claim", ["email", "eppn", "scoped_affiliation", "subject_id", "pairwise_id", "upn"])
def test_what_lies_outside_is_dropped(claim, value):
    assert judge((value,), claim=claim) == ()


def test_the_good_values_beside_a_bad_one_are_kept():
    values = ("member@acme.example", "staff@globex.example")
    assert judge(values, claim="scoped_affiliation") == ("member@acme.example",)


def test_a_domain_that_is_not_proved_does_not_count():
    organisation = make_organisation(domains=())
    Domain.objects.create(organisation=organisation, name="acme.example")
    assert judge(("a@acme.example",), organisation=organisation) == ()


def test_another_organisations_domain_does_not_count():
    make_organisation(domains=("globex.example",))
    assert judge(("a@globex.example",)) == ()


def test_the_metadatas_scopes_narrow_but_never_widen():
    both = make_organisation(domains=("acme.example", "acme.test"))
    assert judge(("a@acme.test",), organisation=both, asserted_scopes=["acme.example"]) == ()
    assert judge(("a@globex.example",), organisation=both, asserted_scopes=["globex.example"]) == ()


def test_outside_refuses_where_so_set():
    with pytest.raises(BrokerError) as refused:
        judge(("a@globex.example",), outside_authority="refuse")
    assert refused.value.code == "authority.scope"
    assert "globex.example" in refused.value.actual


def test_what_is_not_scoped_is_left_alone():
    assert judge(("Alice@home",), claim="name") == ("Alice@home",)


@pytest.mark.parametrize(
    ("value", "is_kept"),
    [
        ("alice", True),
        ("a@acme.example", True),
        ("a@globex.example", False),
        ("a\N{FULLWIDTH COMMERCIAL AT}globex.example", False),
    ],
)
def test_a_login_name_with_a_scope_is_judged_like_one(value, is_kept):
    assert judge((value,), claim="preferred_username") == ((value,) if is_kept else ())


def test_scope_of_takes_exactly_one_at():
    assert [scope_of(value) for value in ("a@B.c", "a", "@b", "a@b@c")] == ["b.c", "", "", ""]
