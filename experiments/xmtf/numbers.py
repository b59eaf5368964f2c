"""Figures that xMTF reports, for comparison beside ours: its Tables 3 and 4.

"xMTF: A Formula-Free Model for Reinforcement-Learning-Based Multi-Task Fusion in Recommender
Systems" (Cao et al., 2025). Total watch time of a session in seconds, in a simulator on KuaiRand;
means over 20 trials. Its deviations are in its table only.
"""

from __future__ import annotations

#: By column of Table 3.
_TABLE_3 = {
    "CEM-1": 897.5,
    "CEM-2": 931.2,
    "TD3-1": 1088.7,
    "TD3-2": 1129.1,
    "BatchRL-MTF-1": 1137.3,
    "BatchRL-MTF-2": 1185.4,
    "xMTF": 1279.7,
    "xMTF w/o outer": 1092.8,
    "xMTF w/o inner": 1106.3,
}
#: By λ, Table 4.
_TABLE_4 = {0.0: 732.8, 0.1: 1073.2, 0.4: 1279.7, 0.9: 1254.4, 1.0: 1103.1}
_ROW = ("simulator", "watch_s")


def xmtf_table_3(column: str) -> dict[tuple[str, str], float]:
    """Of Table 3: by our row, the number of a column; empty where it has none."""
    return {_ROW: _TABLE_3[column]} if column in _TABLE_3 else {}


def xmtf_table_4(monotonicity_weight: float) -> dict[tuple[str, str], float]:
    """Of Table 4, by λ."""
    found = _TABLE_4.get(monotonicity_weight)
    return {} if found is None else {_ROW: found}
