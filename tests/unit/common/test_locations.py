"""The locations that the example DAGs read from the environment."""

from __future__ import annotations

import pytest

from altegio_provider.common.locations import locations_from_environment


def test_each_location_has_its_id_and_its_time_zone(monkeypatch):
    monkeypatch.setenv("ALTEGIO_LOCATIONS", "7=Europe/Riga, 8=UTC ,")
    assert locations_from_environment() == [
        {"location_id": "7", "timezone": "Europe/Riga"},
        {"location_id": "8", "timezone": "UTC"},
    ]


def test_the_default_is_the_locations_of_the_sandbox(monkeypatch):
    monkeypatch.delenv("ALTEGIO_LOCATIONS", raising=False)
    assert [one["location_id"] for one in locations_from_environment()] == ["1001", "1002", "1003"]


@pytest.mark.parametrize("text", ["7", "=UTC", "7=", "seven=UTC", "7=Europe/Riga=8"])
def test_a_pair_that_cannot_be_read_is_named_with_the_right_form(monkeypatch, text):
    monkeypatch.setenv("ALTEGIO_LOCATIONS", f"5=UTC,{text}")
    with pytest.raises(ValueError, match=r"ALTEGIO_LOCATIONS.*1001=Europe/Riga"):
        locations_from_environment()
