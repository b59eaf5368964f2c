package ranker;

/** A request that the ranker would refuse or misread; the message names column and place. */
public final class RequestException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  public RequestException(String message) {
    super(message);
  }
}
