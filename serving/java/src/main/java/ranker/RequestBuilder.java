package ranker;

import static ranker.RequestField.HISTORY_PREFIX;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.IntStream;
import ranker.RequestField.Level;
import ranker.proto.Example;
import ranker.proto.Features;

/**
 * Builds requests for one ranker, checked before anything is sent.
 *
 * <p>The same rules, and the same bytes, as serving/request.py.
 */
public final class RequestBuilder {
  private static final String TIMESTAMP_MS = "timestamp_ms";

  /** 2000-01-01 and 2100-01-01; times outside are a wrong clock's, or in another unit. */
  private static final long EARLIEST_MS = 946_684_800_000L;

  private static final long LATEST_MS = 4_102_444_800_000L;

  private final List<RequestField> fields = new ArrayList<>();
  private final Map<Level, SortedSet<String>> names = new EnumMap<>(Level.class);
  private final int length;
  private final double gapMinutes;
  private final double utcOffsetHours;

  /**
   * For an exported ranker.
   *
   * @param ranker directory of its SavedModel; of that only assets.extra/mtfx.json is read
   * @throws IOException if it does not say what a request holds
   */
  public RequestBuilder(Path ranker) throws IOException {
    Path path = ranker.resolve("assets.extra").resolve("mtfx.json");
    try {
      JsonObject content = JsonParser.parseString(Files.readString(path)).getAsJsonObject();
      JsonArray columns = content.getAsJsonArray("request");
      columns.forEach(column -> fields.add(RequestField.of(column.getAsJsonObject())));
      JsonObject state = content.getAsJsonObject("request_state");
      // A ranking model may read more earlier impressions than the state does.
      int read = content.has("history_length") ? content.get("history_length").getAsInt() : 0;
      length = Math.max(state.get("length").getAsInt(), read);
      gapMinutes = state.get("gap_minutes").getAsDouble();
      utcOffsetHours = state.get("utc_offset_hours").getAsDouble();
    } catch (JsonParseException
        | IllegalStateException
        | IllegalArgumentException
        | NullPointerException fault) {
      throw new IOException(path + " does not say what a request holds", fault);
    }
    for (Level level : Level.values()) {
      names.put(level, new TreeSet<>());
    }
    fields.forEach(field -> names.get(field.level()).add(field.ownName()));
    names.get(Level.CONTEXT).addAll(DerivedColumns.NAMES);
  }

  /**
   * A request as it is sent: a serialized tf.Example.
   *
   * @throws RequestException naming the column, if one is unknown, lacking or of another type, a
   *     number is not finite or out of range, a time is implausible, an earlier impression is not
   *     before the request, or there is no candidate
   */
  public byte[] build(RankingRequest request) {
    checkTime(request.timeMs(), TIMESTAMP_MS);
    if (request.candidates().isEmpty()) {
      throw new RequestException("the request has no candidate: give at least one");
    }
    List<Map<String, Object>> past = past(request);
    Map<String, Object> context = context(request, past);
    checkNames(Level.USER, request.user(), "");
    checkNames(Level.CONTEXT, request.context(), "");
    List<String> ofCandidates = places(" of candidate ", request.candidates().size());
    for (int place = 0; place < request.candidates().size(); place++) {
      checkNames(Level.CANDIDATE, request.candidates().get(place), ofCandidates.get(place));
    }
    Features.Builder features = Features.newBuilder();
    for (RequestField field : fields) {
      List<Map<String, Object>> rows =
          switch (field.level()) {
            case HISTORY -> past;
            case CANDIDATE -> request.candidates();
            case USER -> repeated(request.user(), field, request);
            case CONTEXT -> repeated(context, field, request);
          };
      List<String> where =
          switch (field.level()) {
            case HISTORY -> places(" of earlier impression ", past.size());
            case CANDIDATE -> ofCandidates;
            case USER, CONTEXT -> Collections.nCopies(rows.size(), " of the " + field.level());
          };
      List<Object> values = new ArrayList<>();
      rows.forEach(row -> values.add(row.get(field.ownName())));
      features.putFeature(field.name(), field.feature(values, where));
    }
    return bytes(Example.newBuilder().setFeatures(features).build());
  }

  /** The newest earlier impressions that count, oldest first, with their times checked. */
  private List<Map<String, Object>> past(RankingRequest request) {
    List<Map<String, Object>> past = new ArrayList<>(request.history());
    for (int place = 0; place < past.size(); place++) {
      String where = " of earlier impression " + place;
      checkNames(Level.HISTORY, past.get(place), where);
      Object time = past.get(place).get(TIMESTAMP_MS);
      checkTime(time, TIMESTAMP_MS + where);
      if (time(past.get(place)) >= request.timeMs()) {
        throw new RequestException(
            "%s%s is %s, which is not before the request's, %s: leave out what it cannot know"
                .formatted(TIMESTAMP_MS, where, time, request.timeMs()));
      }
    }
    past.sort(Comparator.comparingLong(RequestBuilder::time));
    return past.subList(Math.max(0, past.size() - length), past.size());
  }

  /** The circumstances that were given, and those that follow from the time and the session. */
  private Map<String, Object> context(RankingRequest request, List<Map<String, Object>> past) {
    Map<String, Object> context = new HashMap<>();
    List<Long> times = past.stream().map(RequestBuilder::time).toList();
    long step = DerivedColumns.step(request.timeMs(), times, gapMinutes);
    Object given = request.context().getOrDefault("step", step);
    if (given instanceof Long || given instanceof Integer) {
      long counted = ((Number) given).longValue();
      context.putAll(DerivedColumns.of(request.timeMs(), counted, utcOffsetHours));
    }
    context.putAll(request.context());
    context.put(TIMESTAMP_MS, request.timeMs());
    return context;
  }

  private static List<Map<String, Object>> repeated(
      Map<String, Object> row, RequestField field, RankingRequest request) {
    return Collections.nCopies(field.perCandidate() ? request.candidates().size() : 1, row);
  }

  private static List<String> places(String what, int count) {
    return IntStream.range(0, count).mapToObj(place -> what + place).toList();
  }

  private void checkNames(Level level, Map<String, Object> row, String where) {
    SortedSet<String> known = names.get(level);
    for (String name : row.keySet()) {
      if (!known.contains(name)) {
        String others = known.isEmpty() ? "none" : String.join(", ", known);
        throw new RequestException(
            "'%s'%s is no column of level %s; there are: %s".formatted(name, where, level, others));
      }
    }
  }

  private static void checkTime(Object value, String name) {
    if (value == null) {
      throw new RequestException(name + " is lacking");
    }
    if (!(value instanceof Long || value instanceof Integer)) {
      throw new RequestException(name + " is " + value + ", which is no whole number of ms");
    }
    long time = ((Number) value).longValue();
    if (time < EARLIEST_MS || time >= LATEST_MS) {
      throw new RequestException(
          name + " is " + value + ": time before 2000 or after 2100 (is it in ms?)");
    }
  }

  private static long time(Map<String, Object> row) {
    return ((Number) row.get(TIMESTAMP_MS)).longValue();
  }

  /** Columns in one order, so that equal requests are equal bytes. */
  private static byte[] bytes(Example example) {
    ByteArrayOutputStream buffer = new ByteArrayOutputStream(example.getSerializedSize());
    CodedOutputStream output = CodedOutputStream.newInstance(buffer);
    output.useDeterministicSerialization();
    try {
      example.writeTo(output);
      output.flush();
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    }
    return buffer.toByteArray();
  }
}
