"""The collar's firmware, part by part, without a broker."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import plugins
from collar_sim.animal import Animal
from collar_sim.animal.signals.receiver import Receiver
from collar_sim.errors import FleetFileError
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.flash_log import Entry
from collar_sim.firmware.log.sealer import BATCH_AGE, BATCH_MESSAGES, SealingKey
from collar_sim.firmware.minute import Draft, drafts, look
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.firmware.sensing import epochs
from collar_sim.firmware.sensing.positioning import Positioning
from collar_sim.firmware.sensing.raw_windows import chosen, window_drafts
from collar_sim.fleet_file import read_fleet
from collar_sim.settings import duration
from gateway.wire.codec import decode, decode_raw
from gateway.wire.messages import ActivityEpoch, Birth, Choice, Key, Seal, Window
from gateway.wire.seal import (
    batch_secret,
    leaves_of,
    message_hash,
    message_seed,
    verify_root,
    verify_signature,
)
from gateway.wire.topics import Kind, Topic
from gateway.wire.windows import unpack
from plugins.sdk.behaviours import Behaviour

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
KEY = SealingKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), b"s" * 32)
MODELS = Path(plugins.__path__[0])


def event(n: int = 0) -> Draft:
    at = AT + timedelta(seconds=n)
    return Draft(at, Kind.EVENT, at, {"name": "anomaly", "confidence": 0.7})


@pytest.fixture
def flash(tmp_path: Path):
    with Flash.open(tmp_path) as flash:
        flash.boot(["c1"], 16_384)
        yield flash


@pytest.fixture
def collar(flash: Flash) -> Collar:
    return Collar(flash.logs["c1"], KEY, AT)


# epochs


def test_overall_dynamic_acceleration_of_a_sine_is_two_over_pi_of_its_amplitude():
    t = np.arange(1500) / epochs.RATE_HZ
    acc = np.zeros((1, 1500, 3))
    acc[0, :, 2] = 1.0 + 0.5 * np.sin(2 * np.pi * t * 6 / 2.04)  # six periods in the mean
    dynamic = epochs.dynamic_g(acc)
    assert epochs.odba_g(dynamic).mean() == pytest.approx(0.5 * 2 / np.pi, rel=0.01)
    assert epochs.vedba_g(dynamic).mean() == pytest.approx(0.5 * 2 / np.pi, rel=0.01)


def test_gravity_alone_is_no_activity_however_the_collar_sits():
    acc = np.tile(np.array([0.6, -0.48, 0.64], np.float32), (1, 1500, 1))
    assert epochs.odba_g(epochs.dynamic_g(acc)).max() < 1e-5


def test_vedba_never_exceeds_odba():
    acc = np.random.default_rng(1).normal(0, 1, (3, 1500, 3)).astype(np.float32)
    dynamic = epochs.dynamic_g(acc)
    assert (epochs.vedba_g(dynamic) <= epochs.odba_g(dynamic) + 1e-6).all()


@pytest.mark.parametrize("beat_hz", [1.6, 2.9, 4.3])
def test_steps_follow_the_beat(beat_hz: float):
    t = np.arange(1500) / epochs.RATE_HZ
    imu = np.zeros((1, 1500, 6), np.float32)
    imu[0, :, 2] = 1.0 + 0.5 * np.sin(2 * np.pi * beat_hz * t)
    held = epochs.sums(imu, np.zeros((1, 60), int), 1)
    assert held.steps.sum() == pytest.approx(60 * beat_hz, rel=0.03)


def test_a_still_animal_takes_no_steps():
    imu = np.random.default_rng(2).normal(0, 0.01, (1, 1500, 6)).astype(np.float32)
    imu[:, :, 2] += 1.0
    assert epochs.sums(imu, np.zeros((1, 60), int), 1).steps.sum() == 0


def test_a_weak_best_score_is_unsure_and_seconds_still_sum_to_the_minute():
    scores = np.array([[[0.9, 0.1]] * 20 + [[0.5, 0.5]] * 9], np.float32)
    labels = epochs.labels_of(epochs.scores_each_second(scores), 0.6)
    seconds = epochs.seconds_per_label(labels, 2)
    named = epochs.by_name(seconds[0], [Behaviour.REST, Behaviour.WALK])
    assert named == {"rest": 42.0, "unsure": 18.0}


def test_half_overlapping_windows_are_the_whole_ones_and_those_between():
    imu = np.random.default_rng(3).normal(0, 1, (2, 1500, 6)).astype(np.float32)
    cut = epochs.half_overlapping(imu)
    assert cut.shape == (2, 29, 100, 6)
    for k in range(29):
        assert np.array_equal(cut[:, k], imu[:, 50 * k : 50 * k + 100])
    assert epochs.half_overlapping(imu[:, :100]).shape == (2, 1, 100, 6)


def test_a_second_is_what_the_windows_that_cover_it_agree_on():
    rng = np.random.default_rng(4)
    scores = rng.dirichlet(np.ones(3), (1, 29)).astype(np.float32)
    scores[0, 7] = [1.0, 0.0, 0.0]  # an int8 softmax says so, and is not to be taken at its word
    agreed = epochs.scores_each_second(scores)
    assert np.allclose(agreed.sum(axis=2), 1.0, atol=1e-5)
    for second in range(60):
        covering = [k for k in range(29) if 2 * k <= second < 2 * k + 4]
        logs = np.log(np.maximum(scores[0, covering], epochs.SCORE_FLOOR)).mean(axis=0)
        expected = np.exp(logs) / np.exp(logs).sum()
        assert np.allclose(agreed[0, second], expected, atol=1e-5)


def test_the_steps_of_simulated_walkers_are_two_a_stride():
    strides = found = 0.0
    for seed in (3, 5, 7):  # a toy dog, a cat, a dog of middle size
        for minute in Animal.draw(seed, home=(48.1, 11.5)).minutes(AT, 40):
            walks = (minute.behaviour == "walk").reshape(15, 4).all(axis=1)
            windows = epochs.in_windows(minute.imu[None])[:, walks, :, :3]
            lively = np.full(windows.shape[:2], 1.0, np.float32)
            strides += minute.gait_hz.reshape(15, 4)[walks].sum()
            found += float(epochs.steps(windows, lively).sum())
    assert strides > 100
    assert found / strides == pytest.approx(2.0, abs=0.15)


# models


def test_a_minute_through_the_models_is_a_valid_epoch():
    slots = ModelSlots.load(MODELS)
    assert not slots.refused
    minutes = [Animal.draw(n, home=(48.1, 11.5)).minute(AT) for n in range(3)]
    for seen in look(slots, minutes):
        epoch = ActivityEpoch(collar_id="c1", boot=1, seq=0, observed_at=AT, **seen.epoch)
        assert sum(epoch.seconds.values()) == 60.0
        assert epoch.windows == len(seen.said) == 15
        assert len(seen.each_second) == 60


def test_a_corrupt_model_is_refused_with_a_reason_and_the_collar_says_unsure(tmp_path: Path):
    folder = tmp_path / "activity"
    folder.mkdir()
    for name in ("plugin.toml", "model.tflite"):
        (folder / name).write_bytes((MODELS / "activity" / name).read_bytes())
    (folder / "model.tflite").write_bytes(b"\0" * 5000)
    slots = ModelSlots.load(tmp_path)
    assert "sha256" in slots.refused["activity"]
    assert "plugin.toml" in slots.refused["anomaly"]
    assert slots.described() == []
    seen = look(slots, [Animal.draw(1, home=(48.1, 11.5)).minute(AT)])[0]
    assert seen.epoch["seconds"] == {"unsure": 60.0}
    assert seen.epoch["windows_unsure"] == 15
    assert seen.sightings == []


def test_a_model_that_fails_on_a_window_leaves_its_slot(monkeypatch: pytest.MonkeyPatch):
    slots = ModelSlots.load(MODELS)

    def fail(_windows: object) -> None:
        raise RuntimeError("invoke failed")

    monkeypatch.setattr(slots._activity, "predict", fail)
    seen = look(slots, [Animal.draw(1, home=(48.1, 11.5)).minute(AT)])[0]
    assert seen.epoch["seconds"] == {"unsure": 60.0}
    assert "invoke failed" in slots.refused["activity"]


def test_drafts_are_in_the_order_in_which_the_collar_knows_them():
    minute = Animal.draw(1, home=(48.1, 11.5)).minute(AT)
    seen = look(ModelSlots.load(MODELS), [minute])[0]
    receiver = Receiver(0)
    receiver.under(minute.gnss, int(AT.timestamp()))
    fixes, _ = Positioning((48.1, 11.5), 0, receiver).minute(minute, seen.window_vedba_g)
    said = drafts(AT, seen, fixes, 80.0)
    assert [draft.release_at for draft in said] == sorted(draft.release_at for draft in said)
    assert said[-1].kind is Kind.EPOCH
    assert said[-1].observed_at == AT


# raw windows


def test_every_other_window_is_the_least_certain_and_every_other_is_drawn_fairly():
    confidence = [0.9] * 14 + [0.1]
    drawn: list[int] = []
    for minute in range(3_000):
        picked = chosen(confidence, 120, minute, "c1")
        assert sorted(picked.values()) == [Choice.RANDOM, Choice.UNCERTAIN]
        (random,) = (k for k, why in picked.items() if why is Choice.RANDOM)
        (unsure,) = (k for k, why in picked.items() if why is Choice.UNCERTAIN)
        drawn.append(random)
        assert unsure == (14 if random != 14 else 0)
    counts = np.bincount(drawn, minlength=15)
    assert counts.min() > 140, "200 of each are expected, the hard one among them"
    assert counts.max() < 260


@pytest.mark.parametrize("per_hour", [0, 1, 7, 60, 120, 899, 3_600])
def test_an_hour_has_as_many_windows_as_were_asked_for_and_half_of_them_by_lot(per_hour: int):
    picked = [chosen([0.5] * 15, per_hour, minute, "c1") for minute in range(600, 660)]
    assert sum(map(len, picked)) == min(per_hour, 15 * 60), "a minute has no more than fifteen"
    lots = sum(list(each.values()).count(Choice.RANDOM) for each in picked)
    if per_hour <= 900:
        assert abs(lots - per_hour / 2) <= 1
    assert picked == [chosen([0.5] * 15, per_hour, minute, "c1") for minute in range(600, 660)]


def test_the_lot_is_another_for_another_collar_and_minute():
    def lots(collar_id: str, first: int) -> list[dict[int, Choice]]:
        return [chosen([0.5] * 15, 120, first + n, collar_id) for n in range(20)]

    assert lots("c1", 0) != lots("c2", 0)
    assert lots("c1", 0) != lots("c1", 20)


def test_a_raw_window_is_what_the_sensor_said_with_the_collars_own_word():
    minute = Animal.draw(1, home=(48.1, 11.5)).minute(AT)
    seen = look(ModelSlots.load(MODELS), [minute])[0]
    said = window_drafts(AT, minute.imu, seen, 3_600, "c1")
    assert [draft.observed_at for draft in said] == [
        AT + timedelta(seconds=4 * k) for k in range(15)
    ]
    assert {draft.release_at for draft in said} == {AT + timedelta(minutes=1)}
    for k, draft in enumerate(said):
        message = Window(
            collar_id="c1", boot=1, seq=0, observed_at=draft.observed_at, **draft.fields
        )
        window = minute.imu[100 * k : 100 * (k + 1)]
        inside = np.abs(window[:, :3]) < 7.9
        assert np.abs(unpack(message)[:, :3] - window[:, :3])[inside].max() < 1e-3
        assert message.label == seen.said[k]
        assert message.confidence == pytest.approx(seen.confidence[k], abs=1e-3)
    assert window_drafts(AT, minute.imu, seen, 0, "c1") == []


def test_a_collar_without_a_model_is_unsure_of_every_window(tmp_path: Path):
    minute = Animal.draw(1, home=(48.1, 11.5)).minute(AT)
    seen = look(ModelSlots.load(tmp_path), [minute])[0]
    (drawn, unsure) = sorted(
        window_drafts(AT, minute.imu, seen, 120, "c1"), key=lambda d: d.fields["choice"]
    )
    for draft in (drawn, unsure):
        assert (draft.fields["label"], draft.fields["confidence"]) == ("unsure", 0.0)


def test_raw_windows_leave_half_the_flash_to_the_days_record(collar: Collar):
    window = Draft(
        AT,
        Kind.WINDOW,
        AT,
        {"rate_hz": 25.0, "acc_g_per_lsb": 1.0, "gyr_dps_per_lsb": 1.0, "samples": bytes(1_200)},
    )
    for n in range(40):
        collar.say(window)
        collar.say(event(n))
    log = collar.flash
    kinds = [log[n].kind for n in range(log.first, log.end)]
    assert kinds.count(Kind.EVENT) == 40
    assert 4 <= kinds.count(Kind.WINDOW) <= 6
    assert collar.windows_left_out == 40 - kinds.count(Kind.WINDOW)
    assert log.overwritten == 0


def test_a_fleet_that_sends_windows_waits_for_room_earlier(collar: Collar):
    log = collar.flash
    filler = {"name": "x" * 6_000, "confidence": 1.0}
    collar.say(Draft(AT, Kind.EVENT, AT, filler))
    assert not log.is_nearly_full
    collar.desire(120)
    collar.say(Draft(AT, Kind.EVENT, AT, {"name": "x" * 1_000, "confidence": 1.0}))
    assert log.is_nearly_full
    assert log.has_room_for_windows, "so that no window of history is left out"


# seals


def test_seals_prove_every_message_before_them(flash: Flash, collar: Collar):
    collar.be_born([])
    for n in range(2 * BATCH_MESSAGES):
        collar.say(event(n))
    collar.seal(AT)
    log = collar.flash
    entries = {log[n].key.seq: log[n] for n in range(log.first, log.end)}
    sealed: set[int] = set()
    for entry in entries.values():
        if entry.kind is not Kind.SEAL:
            continue
        seal = decode(Topic("home", "c1", Kind.SEAL), entry.payload).message
        assert isinstance(seal, Seal)
        covered = range(seal.first_seq, seal.last_seq + 1)
        secret = batch_secret(KEY.salt_secret, seal.boot, seal.first_seq)
        hashes = [
            message_hash(
                leaves_of(entries[seq].kind, decode_raw(entries[seq].payload)),
                message_seed(secret, seq),
            )
            for seq in covered
        ]
        verify_signature(KEY.signing_key.public_key().public_bytes_raw(), seal)
        verify_root(seal, hashes)
        assert len(hashes) <= BATCH_MESSAGES
        sealed |= set(covered)
    others = {seq for seq, entry in entries.items() if entry.kind is not Kind.SEAL}
    assert sealed == others


def test_a_batch_is_sealed_after_fifteen_minutes_also_when_it_is_small(collar: Collar):
    collar.say(event())
    collar.say(replace(event(), release_at=AT + BATCH_AGE))
    log = collar.flash
    assert [log[n].kind for n in range(log.end)] == [Kind.EVENT, Kind.SEAL, Kind.EVENT]


# flash


def test_a_message_beyond_what_brokers_take_is_dropped_and_leaves_no_gap(collar: Collar):
    collar.say(event(0))
    collar.say(Draft(AT, Kind.EVENT, AT, {"name": "x" * 20_000, "confidence": 1.0}))
    collar.say(event(1))
    assert collar.too_large == 1
    assert [collar.flash[n].key.seq for n in range(collar.flash.end)] == [0, 1]


def test_a_full_log_overwrites_its_oldest_and_says_where_it_starts(flash: Flash):
    log = flash.logs["c1"]
    for seq in range(6):
        payload = msgspec.msgpack.encode({"observed_at": AT, "n": seq, "x": bytes(5000)})
        log.put(Entry(Key(1, seq), Kind.EVENT, payload))
    flash.commit()
    assert log.overwritten == 3
    assert log.start == Key(1, 3)
    assert log.size_bytes <= log.budget_bytes


def test_only_the_acknowledgement_prunes_and_only_up_to_what_was_written(
    flash: Flash, collar: Collar
):
    log = collar.flash
    for n in range(5):
        collar.say(event(n))
    assert log.prune(Key(1, 2)) == 0, "what is not committed was never sent"
    flash.commit()
    assert log.prune(Key(9, 9)) == 0, "a key of another life"
    assert log.prune(Key(1, 2)) == 3
    assert log.start == Key(1, 3)
    assert (log.acked, len(log)) == (3, 2)


def test_after_a_cut_boot_rises_the_log_is_there_and_birth_names_the_last_message(tmp_path: Path):
    with Flash.open(tmp_path) as flash:
        flash.boot(["c1"])
        collar = Collar(flash.logs["c1"], KEY, AT)
        collar.be_born([])
        for n in range(3):
            collar.say(event(n))
        flash.commit({"until": b"x"})
        flash.logs["c1"].prune(Key(1, 1))
        flash.commit()
        collar.say(event(3))  # never committed: the cut takes it
    with Flash.open(tmp_path) as flash:
        flash.boot(["c1"])
        log = flash.logs["c1"]
        assert (log.boot, log.start, log.last) == (2, Key(1, 2), Key(1, 3))
        assert (log.acked, log.acked_key, flash.nvm("until")) == (2, Key(1, 1), b"x")
        assert flash.published() == {"birth": 1, "event": 3}
        collar = Collar(log, KEY, AT)
        collar.be_born([])
        birth = decode(Topic("home", "c1", Kind.BIRTH), collar.birth).message
        assert isinstance(birth, Birth)
        assert (birth.key, birth.previous) == (Key(2, 0), Key(1, 3))


# files, flags and links


def test_a_corrupt_entry_is_refused_by_name_and_hides_no_other(tmp_path: Path):
    good = {
        "collar_id": "c1",
        "signing_key": "0" * 64,
        "salt_secret": "1" * 64,
        "animal_seed": 1,
        "lat_deg": 48,
        "lon_deg": 11,
    }
    path = tmp_path / "fleet.json"
    entries = [good, good | {"collar_id": "c2", "signing_key": "zz"}, 7, good]
    path.write_text(json.dumps({"collars": entries}))
    fleet = read_fleet(path)
    assert [member.collar_id for member in fleet.members] == ["c1"]
    assert set(fleet.refused) == {"c2", "#2", "c1"}
    assert "signing_key" in fleet.refused["c2"]
    assert "0000" not in repr(fleet)


def test_a_file_that_is_no_fleet_says_so(tmp_path: Path):
    with pytest.raises(FleetFileError, match="No such file"):
        read_fleet(tmp_path / "absent.json")
    path = tmp_path / "fleet.json"
    path.write_text('{"collars": ' + "[" * 100_000)
    with pytest.raises(FleetFileError, match="recursion"):
        read_fleet(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("incident_after_s", 1e12), ("escape_after_s", 1e300), ("lon_deg", 180.0), ("lat_deg", -90)],
)
def test_no_entry_reaches_beyond_calendar_and_date_line(tmp_path: Path, name: str, value: float):
    good = {"signing_key": "0" * 64, "salt_secret": "1" * 64, "animal_seed": 1}
    good |= {"lat_deg": 85, "lon_deg": -179.9, "incident_after_s": 1e9}
    path = tmp_path / "fleet.json"
    entries = [good | {"collar_id": "c1"}, good | {"collar_id": "c2", name: value}]
    path.write_text(json.dumps({"collars": entries}))
    fleet = read_fleet(path)
    assert [member.collar_id for member in fleet.members] == ["c1"]
    assert name in fleet.refused["c2"]


def test_durations_are_read_as_people_write_them():
    assert [duration(t).total_seconds() for t in ("0", "90", "5m", "24h", "30d")] == [
        0,
        90,
        300,
        86_400,
        2_592_000,
    ]
    with pytest.raises(ValueError, match="no duration"):
        duration("soon")
