"""Which folders can be an inbox."""

from __future__ import annotations

import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.imports.files.inbox import inbox_folder
from altegio_provider.sensors.inbox import AltegioInboxSensor


@pytest.mark.parametrize("folder", ["s3://bucket/inbox", "gs://conn@bucket/inbox", "sftp://host/inbox", "", "file://"])
def test_the_sensor_refuses_what_is_not_on_a_disk(folder):
    with pytest.raises(AltegioValidationError, match="the inbox"):
        AltegioInboxSensor(task_id="wait", folder=folder).poke({})


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_path_and_its_url_are_the_same(tmp_path, form):
    assert inbox_folder(form.format(tmp_path)) == tmp_path
    (tmp_path / "clients.csv").write_text("name\n")
    found = AltegioInboxSensor(task_id="wait", folder=form.format(tmp_path), quiet_seconds=0).poke({})
    assert found.xcom_value == ["clients.csv"]
