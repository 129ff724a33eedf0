"""Two applications of one file at the same moment."""

import threading
from pathlib import Path

import pytest
from django.db import connection

from broker.actors import SYSTEM
from broker.operations.configuration import apply_configuration, read_configuration
from broker.registry.models import Client, ClientSecret, Organisation


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_the_second_one_waits_and_finds_nothing_to_change(tmp_path: Path) -> None:
    path = tmp_path / "company.yaml"
    path.write_text(
        "organisations:\n  - {slug: acme, domains: [acme.example]}\n"
        "applications:\n  - {slug: crm, oidc: {client_id: crm, redirect_uris: ['https://crm.acme.example/']}}\n"
    )
    changed: list[int] = []
    start = threading.Barrier(4)

    def apply() -> None:
        try:
            configuration = read_configuration(path)
            start.wait()
            changed.append(len(apply_configuration(configuration, actor=SYSTEM).plan.differences))
        finally:
            connection.close()

    threads = [threading.Thread(target=apply) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(changed) == [0, 0, 0, 2]
    assert Organisation.objects.count() == Client.objects.count() == ClientSecret.objects.count() == 1
