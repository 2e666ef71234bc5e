"""Preset dictionaries of batches: what both ends know before the first byte is unpacked.

They are part of the contract, and burnt into firmware: one that was released never changes, not by
a byte (a test holds their SHA-256). A better one gets the next number; who unpacks keeps them all,
and who packs takes the newest that both ends have.
"""

from collections.abc import Mapping

_FIRST = (
    b'birth {"hardware":"","firmware":"1.1.0","sample_rate_hz":25,"slots":[{"slot":"activity",'
    b'"package":"activity","version":"0.1.0","sha256":""},{"slot":"anomaly",'
    b'"package":"anomaly","version":"0.1.0","sha256":""}],"seals":true,"previous":{"boot":1,'
    b'"seq":1},"rollout":"\n'
    b'slots {"collar_id":"\n'
    b'window {"rate_hz":25,"acc_g_per_lsb":0.000244140625,'
    b'"gyr_dps_per_lsb":0.06097560975609757,"samples":"A","label":"walk","confidence":0.5,'
    b'"choice":"random"}\n'
    b',"choice":"uncertain"}\n'
    b'event {"name":"sensor_fault","name":"itch","name":"anomaly","confidence":0.9,'
    b'"duration_s":8,"package":"anomaly@0.1.0"}\n'
    b'event {"name":"scratch","confidence":0.7,"duration_s":8,"package":"activity@0.1.0"}\n'
    b'"charging":true,"period_s":3600,"battery_pct":73.83,"days_left":16.18,"joules":{'
    b'"sleep":0.235,"mcu":0.143,"inference":0.129,"imu":4.439,"gnss":0,"wifi":3.943,"lte":0,'
    b'"losses":1.25}}\n'
    b'power {"collar_id":"\n'
    b',"first_seq":1,"last_seq":15,"root":"=","signature":"=="}\n'
    b'seal {"collar_id":"\n'
    b'fix ,"lat_deg":48.1,"lon_deg":11.5,"accuracy_m":8.5,"age_s":0.5,"hdop":1.1,'
    b'"speed_mps":0.02}\n'
    b',"accuracy_m":20,"source":"wifi","age_s":1}\n'
    b'fix {"collar_id":"\n'
    b'"period_s":3600,"clock":"gnss","scratch_bouts":1,"drink_bouts":1,"vehicle":2,"drink":4,'
    b'"scratch":6,"run":8,"steps":100,"windows_unsure":10,"seconds":{"rest":20,"sniff":12,'
    b'"walk":14,"play":4,"eat":8,"unsure":10},"odba_g":0.2,"vedba_g":0.1,"steps":9,'
    b'"anomaly":0.6,"windows":15,"windows_unsure":2,"battery_pct":63.5}\n'
    b'epoch {"collar_id":"collar-1","boot":1,"seq":1,"observed_at":"2026-01-01T10:00:00Z",'
    b'"uptime_s":3600,"seconds":{"sleep":48,"rest":10,"unsure":2},"odba_g":0.01,'
    b'"vedba_g":0.00,"anomaly":0.5,"windows":15,"windows_unsure":1,"battery_pct":80.1}\n'
    b'epoch {"collar_id":"'
)
"""What stands last is cheapest to name, so the commonest does."""

DICTIONARIES: Mapping[int, bytes] = {1: _FIRST}
"""By the number that `Batch` and `Desired` call them."""

NEWEST = max(DICTIONARIES)
