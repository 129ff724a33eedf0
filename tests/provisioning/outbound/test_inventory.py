"""A whole target read page by page, by index or by cursor: each account once, and no reading without an end."""

import json

import pytest

from provisioning.outbound.connectors.base import Capabilities, Paging, TargetError
from provisioning.outbound.connectors.scim import ScimConnector
from tests.provisioning.outbound.desk import Desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[Paging.INDEX, Paging.CURSOR])
def connector(desk: Desk, request):
    desk.there.change(cursor_only=request.param == Paging.CURSOR)
    for number in range(7):
        desk.there.act("create", document={"userName": f"person{number}", "active": True})
    with ScimConnector(desk.target, capabilities=Capabilities(paging=request.param, page_size=3)) as found:
        yield found


def test_every_account_comes_once(connector):
    pages = list(connector.pages_of_users())
    assert [len(page.rows) for page in pages] == [3, 3, 1]
    assert len({row.remote_id for page in pages for row in page.rows}) == 7
    assert pages[-1].after == ""


def test_reading_goes_on_where_a_page_ended(connector):
    first = next(connector.pages_of_users())
    rest = [row.user_name for page in connector.pages_of_users(first.after) for row in page.rows]
    assert len(rest) == 4
    assert not {row.user_name for row in first.rows} & set(rest)


def listing(resources, **more):
    return json.dumps({"totalResults": 10, "Resources": resources, **more})


def test_a_record_that_cannot_be_read_is_named_and_the_others_go_on(desk: Desk):
    desk.there.fault("answer", status=200, body=listing([{"id": "1", "userName": "a"}, {"userName": "b"}, 7]), times=1)
    desk.there.fault("answer", status=200, body=listing([]))
    with ScimConnector(desk.target, capabilities=Capabilities()) as connector:
        pages = list(connector.pages_of_users())
    assert [row.remote_id for row in pages[0].rows] == ["1"]
    assert len(pages[0].rejected) == 2


@pytest.mark.parametrize("remote_id", ["", "..", ".", "a\nb", "x" * 401, None, ["1"]])
def test_an_id_that_cannot_stand_in_an_address_is_none(desk: Desk, remote_id):
    desk.there.fault("answer", status=200, body=json.dumps({"id": remote_id, "userName": "a"}))
    with ScimConnector(desk.target, capabilities=Capabilities()) as connector, pytest.raises(TargetError) as caught:
        connector.look_at("1")
    assert caught.value.code == "target.not_scim"


def test_a_cursor_that_leads_back_to_its_own_page_ends_in_an_error(desk: Desk):
    desk.there.fault("answer", status=200, body=listing([{"id": "1"}], nextCursor="again"))
    capabilities = Capabilities(paging=Paging.CURSOR)
    with ScimConnector(desk.target, capabilities=capabilities) as connector, pytest.raises(TargetError) as caught:
        list(connector.pages_of_users())
    assert caught.value.code == "target.not_scim"


def test_a_target_that_ignores_the_filter_gives_nobody_elses_account(desk: Desk):
    desk.there.fault("answer", status=200, body=listing([{"id": "1", "userName": "mallory", "externalId": "x"}]))
    with ScimConnector(desk.target, capabilities=Capabilities()) as connector:
        assert connector.find_user(external_id="our-id") is None
        assert connector.find_user(user_name="alice") is None
