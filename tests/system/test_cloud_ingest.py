"""From signed bytes to rows, rollups and scores, exactly once."""

from tests.system.cloud_kit import Cloud


async def test_a_sealed_hour_is_stored_rolled_up_and_scored(cloud: Cloud) -> None:
    home = await cloud.home()
    [device] = await home.enrol()
    grant = await home.grant(device.pet_id)
    receipt = await home.send(device.epochs(grant))
    assert (receipt.accepted, receipt.duplicates, receipt.refused) == (64, 0, [])
    assert receipt.cursor == 64
    history = await home.call("GET", f"/v1/pets/{device.pet_id}/history")
    assert sum(hour["epochs"] for hour in history["hours"]) == 64
    assert sum(hour["seconds"]["walk"] for hour in history["hours"]) == 64 * 20.5
    wallet = await home.call("GET", "/v1/wallet")
    assert wallet["pending_units"] == 64 * 900
