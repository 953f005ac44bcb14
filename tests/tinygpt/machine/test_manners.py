"""Sharing a laptop: stop at a time, pause when hot or on battery."""



from tinygpt.machine.manners import PauseWhile, cool, max_hours, on_battery, stop_at, temperature


def test_a_time_of_day_is_understood():
    from datetime import datetime, timedelta

    soon = datetime.now() + timedelta(hours=2)
    assert stop_at(soon.strftime("%H:%M"))() is None
    past = datetime.now() - timedelta(minutes=2)
    assert stop_at(past.strftime("%H:%M"), now=past - timedelta(minutes=1))() is not None
    assert max_hours(5)() is None


def test_heat_pauses_until_it_is_cooler():
    degrees = iter([70.0, 95.0, 92.0, 88.0, 84.0, 84.0])
    pause = cool(90.0, read=lambda: next(degrees))
    pause.every = 0.0
    said = []
    pause(said.append, lambda: False)
    assert said[0].startswith("paused: 95 degrees") and said[-1].startswith("going on")


def test_a_pause_ends_when_the_run_is_asked_to_stop():
    said = []
    PauseWhile(lambda: "a reason", every=0.0)(said.append, lambda: True)
    assert said[0] == "paused: a reason"


def test_sensors_are_read_where_linux_shows_them(tmp_path):
    for zone, value in (("thermal_zone0", "45000"), ("thermal_zone1", "61500")):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "temp").write_text(value + "\n")
    assert temperature(tmp_path) == 61.5
    assert temperature(tmp_path / "nothing") is None
    (tmp_path / "BAT0").mkdir()
    (tmp_path / "BAT0/status").write_text("Discharging\n")
    assert on_battery(tmp_path)
    (tmp_path / "BAT0/status").write_text("Full\n")
    assert not on_battery(tmp_path)
