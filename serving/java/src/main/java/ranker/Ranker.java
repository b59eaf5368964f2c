package ranker;

/** Ranks the candidates of one request at a time; may be used from many threads. */
public interface Ranker extends AutoCloseable {
  /**
   * Ranks a request.
   *
   * @param request of {@link RequestBuilder#build}
   */
  Ranking rank(byte[] request);

  @Override
  void close();
}
