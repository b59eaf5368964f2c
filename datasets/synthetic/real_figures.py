"""Figures of KuaiRand-Pure's real log, to which the ``video`` profile is calibrated.

Figures only, no rows. Those without a source of their own are what ``mtfx datasets --agreement``
prints for the standard log of 25 April to 8 May 2022 without a random tenth of its users: 199,341
impressions. The data set: Gao et al., "KuaiRand", CIKM 2022, https://kuairand.com, CC BY-SA 4.0.

The label rates are the published ones of the whole month. In the two weeks of the log they are
higher (click .450, long view .317, like .0174), so rates by duration are to be compared after
division by the log's own rate.
"""

from __future__ import annotations

#: Feedbacks of the tables below, in their order.
FEEDBACKS = ("click", "long_view", "like", "watch_time_ms")

#: Standard deviations of the true rates of items and of users; of the watch time in ms.
ITEM_SPREADS = (0.160, 0.145, 0.0201, 14_700.0)
USER_SPREADS = (0.188, 0.160, 0.0535, 10_500.0)
#: Correlations of the true rates of items and of users, by pair.
ITEM_CORRELATIONS = {
    ("click", "long_view"): 0.92,
    ("click", "like"): 0.01,
    ("click", "watch_time_ms"): 0.50,
    ("long_view", "like"): 0.00,
    ("long_view", "watch_time_ms"): 0.46,
    ("like", "watch_time_ms"): -0.16,
}
USER_CORRELATIONS = {
    ("click", "long_view"): 0.98,
    ("click", "like"): 0.18,
    ("click", "watch_time_ms"): 0.91,
    ("long_view", "like"): 0.18,
    ("long_view", "watch_time_ms"): 0.94,
    ("like", "watch_time_ms"): 0.16,
}
#: Rank correlation of the mean watch time of items with their duration.
WATCH_WITH_DURATION = 0.73

#: Quantiles by level, ms.
WATCH_MS = {0.1: 0.0, 0.25: 1_500.0, 0.5: 4_800.0, 0.75: 22_500.0, 0.9: 63_500.0, 0.99: 210_500.0}
DURATION_MS = {
    0.1: 12_700.0,
    0.25: 25_900.0,
    0.5: 71_200.0,
    0.75: 156_400.0,
    0.9: 259_100.0,
    0.99: 447_400.0,
}
SHARE_OF_0_S = 0.100
SHARE_LONGER_THAN_VIDEO = 0.153

#: Parts of about equally many impressions, by duration.
DURATION_PARTS = 6
#: Means by such a part, from the shortest videos to the longest.
BY_DURATION = {
    "click": (0.391, 0.463, 0.495, 0.479, 0.448, 0.425),
    "like": (0.0278, 0.0206, 0.0168, 0.0151, 0.0131, 0.0110),
    "watch_time_ms": (7_440.0, 12_660.0, 19_480.0, 26_080.0, 29_740.0, 36_120.0),
}
#: The same log's means over all impressions, to divide by.
OWN_RATES = {"click": 0.4501, "like": 0.0174}

#: P(long view | click), P(long view | no click), P(like | click), P(like | no click).
LONG_VIEW_BY_CLICK = (0.70, 0.002)
LIKE_BY_CLICK = (0.032, 0.006)

#: Rank correlations of the rarer feedbacks about videos, per play over the month: 7,283 videos with
#: more than 200 plays in ``video_features_statistic_pure``.
RARE_CORRELATIONS = {
    ("like", "follow"): 0.50,
    ("like", "comment"): 0.63,
    ("like", "forward"): 0.55,
    ("follow", "comment"): 0.30,
    ("follow", "forward"): 0.46,
    ("comment", "forward"): 0.58,
    ("long_view", "follow"): -0.03,
    ("long_view", "comment"): -0.18,
    ("long_view", "forward"): -0.31,
    ("watch_time_ms", "follow"): 0.09,
    ("watch_time_ms", "comment"): -0.17,
    ("watch_time_ms", "forward"): -0.27,
}
