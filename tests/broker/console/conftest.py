"""Operators who have chosen their passwords, and browsers in which they are signed in."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from broker.console.models import Operator

PASSWORD = "correct-horse-battery"
MakeOperator = Callable[..., Operator]


@pytest.fixture
def make_operator(db) -> MakeOperator:
    def make(email="ada@acme.example", *, role=Operator.Role.OPERATOR, password=PASSWORD, **fields) -> Operator:
        fields = {"name": "Ada", "must_change_password": False, "created_at": timezone.now()} | fields
        operator = Operator(email=email, role=role, **fields)
        operator.set_password(password)
        operator.save()
        return operator

    return make


@pytest.fixture
def sign_in(client: Client) -> Callable[..., object]:
    """Posts the sign-in form, as a browser does."""

    def post(email="ada@acme.example", password=PASSWORD, browser=client, **extra):
        return browser.post("/admin/login/", {"username": email, "password": password}, **extra)

    return post


@pytest.fixture
def console(make_operator, sign_in, client) -> Client:
    """A browser in which an operator is signed in."""
    make_operator()
    assert sign_in().status_code == 302
    return client


@pytest.fixture
def viewer_console(make_operator, sign_in) -> Client:
    """A browser in which a viewer is signed in."""
    browser = Client()
    make_operator("vic@acme.example", role=Operator.Role.VIEWER)
    assert sign_in("vic@acme.example", browser=browser).status_code == 302
    return browser
