package ranker;

import java.util.List;
import java.util.Map;

/**
 * What a service knows when it asks for a ranking. Values are Numbers and Strings; what is absent
 * or null and has a default may be left out.
 *
 * @param candidates what to rank: the columns of each
 * @param timeMs of the request, Unix time in ms
 * @param user the user's columns
 * @param context the circumstances, such as the tab; hour, weekday and place in the session follow
 *     from the time and the history where they are not given
 * @param history the user's earlier impressions in any order: timestamp_ms, the items' columns,
 *     feedback and watch_share of each
 */
public record RankingRequest(
    List<Map<String, Object>> candidates,
    long timeMs,
    Map<String, Object> user,
    Map<String, Object> context,
    List<Map<String, Object>> history) {
  /** What is null is empty: a user of whom nothing is known. */
  public RankingRequest {
    user = user == null ? Map.of() : user;
    context = context == null ? Map.of() : context;
    history = history == null ? List.of() : history;
  }
}
