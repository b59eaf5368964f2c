"""Figures that the papers report, for comparison beside ours.

RMTL: "Multi-Task Recommendations with Reinforcement Learning", Tables 1 and 2. The paper's tasks
are CTR and CTCVR; ``RMTL_TASKS`` says which of ours they are. Its figure on transfer (Figure 4) has
no numbers in the text.
"""

from __future__ import annotations

FIGURES = ("auc", "logloss", "s_logloss")

#: Columns of RMTL's Table 1.
_TABLE_1_COLUMNS = (
    *("single_task", "shared_bottom", "esmm", "mmoe", "ple"),
    *("D-PLE", "RMTL-ESMM", "RMTL-MMoE", "RMTL-PLE"),
)

#: By data set, task and figure, one number per column.
_TABLE_1: dict[str, dict[str, dict[str, tuple[float, ...]]]] = {
    "RetailRocket": {
        "CTR": {
            "auc": (0.7273, 0.7287, 0.7282, 0.7309, 0.7308, 0.7308, 0.7338, 0.7350, 0.7339),
            "logloss": (0.2065, 0.2048, 0.2031, 0.2021, 0.2056, 0.2058, 0.2024, 0.1995, 0.2013),
            "s_logloss": (0.0846, 0.0839, 0.0852, 0.0853, 0.0827, 0.0830, 0.0836, 0.0848, 0.0824),
        },
        "CTCVR": {
            "auc": (0.7250, 0.7304, 0.7316, 0.7347, 0.7387, 0.7386, 0.7341, 0.7396, 0.7419),
            "logloss": (0.0489, 0.0493, 0.0486, 0.0496, 0.0486, 0.0490, 0.0485, 0.0490, 0.0480),
            "s_logloss": (0.0150, 0.0149, 0.0150, 0.0145, 0.0147, 0.0149, 0.0150, 0.0143, 0.0146),
        },
    },
    "KuaiRand": {
        "CTR": {
            "auc": (0.7003, 0.7018, 0.7009, 0.7014, 0.7026, 0.7025, 0.7031, 0.7029, 0.7053),
            "logloss": (0.6127, 0.6114, 0.6128, 0.6119, 0.6111, 0.6123, 0.6111, 0.6105, 0.6092),
            "s_logloss": (0.6263, 0.6250, 0.6261, 0.6255, 0.6252, 0.6257, 0.6252, 0.6243, 0.6242),
        },
        "CTCVR": {
            "auc": (0.7342, 0.7310, 0.7350, 0.7324, 0.7339, 0.7339, 0.7377, 0.7345, 0.7367),
            "logloss": (0.5233, 0.5249, 0.5220, 0.5237, 0.5235, 0.5237, 0.5200, 0.5225, 0.5221),
            "s_logloss": (0.5449, 0.5468, 0.5436, 0.5450, 0.5454, 0.5451, 0.5433, 0.5446, 0.5447),
        },
    },
}

#: RMTL's Table 2, of PLE on RetailRocket; its CW is the plain PLE of Table 1.
_TABLE_2_COLUMNS = ("CW", "WL", "NLC", "RMTL-PLE")
_TABLE_2: dict[str, dict[str, tuple[float, ...]]] = {
    "CTR": {
        "auc": (0.7308, 0.7323, 0.7325, 0.7339),
        "logloss": (0.2056, 0.2218, 0.2020, 0.2013),
    },
    "CTCVR": {
        "auc": (0.7387, 0.7411, 0.7418, 0.7419),
        "logloss": (0.0486, 0.0485, 0.0481, 0.0480),
    },
}

#: The paper's data set for each of ours; a synthetic one stands beside the one it imitates.
PAPER_DATA = {
    "retailrocket": "RetailRocket",
    "synthetic-shop": "RetailRocket",
    "kuairand": "KuaiRand",
    "synthetic-video": "KuaiRand",
}
#: The paper's task for each of ours.
RMTL_TASKS = {"click": "CTR", "pay": "CTCVR", "long_view": "CTCVR"}


def rmtl_table_1(dataset: str, column: str) -> dict[tuple[str, str], float]:
    """RMTL's Table 1: by our task and figure, the number of a column; empty where it has none."""
    tasks = _TABLE_1.get(PAPER_DATA.get(dataset, ""), {})
    return _column(tasks, _TABLE_1_COLUMNS, column)


def rmtl_table_2(dataset: str, column: str) -> dict[tuple[str, str], float]:
    """RMTL's Table 2, likewise."""
    tasks = _TABLE_2 if PAPER_DATA.get(dataset) == "RetailRocket" else {}
    return _column(tasks, _TABLE_2_COLUMNS, column)


def _column(
    tasks: dict[str, dict[str, tuple[float, ...]]], columns: tuple[str, ...], column: str
) -> dict[tuple[str, str], float]:
    if column not in columns:
        return {}
    at = columns.index(column)
    return {
        (ours, figure): numbers[at]
        for ours, theirs in RMTL_TASKS.items()
        for figure, numbers in tasks.get(theirs, {}).items()
    }
