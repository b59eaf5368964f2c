package ranker;

import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * Columns of a request that follow from its time and from the session so far.
 *
 * <p>The rules of serving/derived_columns.py, by which the training data was made.
 */
final class DerivedColumns {
  private static final long HOUR_MS = 3_600_000;
  private static final long DAY_MS = 86_400_000;
  private static final long[] FIRST_BEYOND = {1, 3, 7, 15, 31};
  private static final String[] BUCKETS = {"1", "2-3", "4-7", "8-15", "16-31", "32+"};
  static final List<String> NAMES = List.of("hour", "day_of_week", "step", "step_bucket");

  private DerivedColumns() {}

  /** The place of a request in its session, from 0; a longer pause begins a new session. */
  static long step(long timeMs, List<Long> pastMs, double gapMinutes) {
    long step = 0;
    long last = timeMs;
    for (long earlier : pastMs.stream().sorted(Comparator.reverseOrder()).toList()) {
      if (last - earlier > Math.rint(gapMinutes * 60_000)) {
        break;
      }
      step++;
      last = earlier;
    }
    return step;
  }

  /** Hour, weekday (Monday is 0), step and bucket of steps. */
  static Map<String, Object> of(long timeMs, long step, double utcOffsetHours) {
    long localMs = timeMs + (long) Math.rint(utcOffsetHours * HOUR_MS);
    int bucket = 0;
    while (bucket < FIRST_BEYOND.length && step >= FIRST_BEYOND[bucket]) {
      bucket++;
    }
    return Map.of(
        "hour", Math.floorMod(Math.floorDiv(localMs, HOUR_MS), 24L),
        // 1970-01-01 was a Thursday.
        "day_of_week", Math.floorMod(Math.floorDiv(localMs, DAY_MS) + 3, 7L),
        "step", step,
        "step_bucket", BUCKETS[bucket]);
  }
}
