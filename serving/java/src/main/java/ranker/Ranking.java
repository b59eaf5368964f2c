package ranker;

/**
 * A ranker's answer.
 *
 * @param rankedIndices places of the candidates in the request, best first
 * @param scores of each candidate, in the order of the request
 * @param action the policy's weights
 * @param state what the policy saw: belongs in the interaction log, as the action does
 * @param historyLeftOut earlier impressions of the request that the ranker did not count
 */
public record Ranking(
    int[] rankedIndices, float[] scores, float[] action, float[] state, int historyLeftOut) {}
