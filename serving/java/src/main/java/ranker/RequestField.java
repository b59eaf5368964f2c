package ranker;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.protobuf.ByteString;
import java.math.BigDecimal;
import java.util.List;
import java.util.Locale;
import ranker.proto.BytesList;
import ranker.proto.Feature;
import ranker.proto.FloatList;
import ranker.proto.Int64List;

/**
 * A column of a request, as the ranker's mtfx.json lists it.
 *
 * @param name of the feature in the request's tf.Example
 * @param type of its values
 * @param level what it is about
 * @param perCandidate whether the request holds a value for each candidate
 * @param missing what an absent value is read as: a Number or String; null where there is none
 */
record RequestField(String name, Type type, Level level, boolean perCandidate, Object missing) {
  /** What the names of lists of earlier impressions begin with. */
  static final String HISTORY_PREFIX = "history_";

  enum Type {
    INT64,
    FLOAT32,
    STRING
  }

  enum Level {
    USER,
    CONTEXT,
    HISTORY,
    CANDIDATE;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  static RequestField of(JsonObject json) {
    Type type = Type.valueOf(json.get("dtype").getAsString().toUpperCase(Locale.ROOT));
    Level level = Level.valueOf(json.get("level").getAsString().toUpperCase(Locale.ROOT));
    return new RequestField(
        json.get("name").getAsString(),
        type,
        level,
        json.has("per_candidate") && json.get("per_candidate").getAsBoolean(),
        plain(json.get("default")));
  }

  /** The column's name in the rows that a caller gives. */
  String ownName() {
    boolean prefixed = level == Level.HISTORY && name.startsWith(HISTORY_PREFIX);
    return prefixed ? name.substring(HISTORY_PREFIX.length()) : name;
  }

  /**
   * Values as they travel.
   *
   * @param values each a Number or String, or null where it is absent
   * @param where what to say of the place of each in a message
   * @throws RequestException if one is absent without a default, of another type or out of range
   */
  Feature feature(List<?> values, List<String> where) {
    BytesList.Builder bytes = BytesList.newBuilder();
    FloatList.Builder floats = FloatList.newBuilder();
    Int64List.Builder integers = Int64List.newBuilder();
    for (int place = 0; place < values.size(); place++) {
      Object value = values.get(place) == null ? missing : values.get(place);
      String said = ownName() + where.get(place);
      if (value == null) {
        throw new RequestException(said + " is lacking, and has no default");
      }
      switch (type) {
        case STRING -> bytes.addValue(text(value, said));
        case FLOAT32 -> floats.addValue(float32(value, said));
        case INT64 -> integers.addValue(int64(value, said));
      }
    }
    return switch (type) {
      case STRING -> Feature.newBuilder().setBytesList(bytes).build();
      case FLOAT32 -> Feature.newBuilder().setFloatList(floats).build();
      case INT64 -> Feature.newBuilder().setInt64List(integers).build();
    };
  }

  /** A JSON value as a Long, Double, String, Boolean or null; anything else as it stands. */
  static Object plain(JsonElement json) {
    if (json == null || json.isJsonNull()) {
      return null;
    }
    if (!json.isJsonPrimitive()) {
      return json;
    }
    var value = json.getAsJsonPrimitive();
    if (value.isString()) {
      return value.getAsString();
    }
    if (value.isBoolean()) {
      return value.getAsBoolean();
    }
    String text = value.getAsString();
    if (!text.matches("-?\\d+")) {
      return value.getAsDouble();
    }
    try {
      return Long.valueOf(text);
    } catch (NumberFormatException beyondInt64) {
      return new BigDecimal(text);
    }
  }

  private static ByteString text(Object value, String said) {
    if (!(value instanceof String text)) {
      throw new RequestException(said + " is " + value + ", which is no text");
    }
    return ByteString.copyFromUtf8(text);
  }

  private static float float32(Object value, String said) {
    double number = number(value, said).doubleValue();
    // A NaN fails the comparison too.
    if (!(Math.abs(number) <= Float.MAX_VALUE)) {
      throw new RequestException(said + " is " + value + ", which is no finite float32");
    }
    return (float) number;
  }

  private static long int64(Object value, String said) {
    Number number = number(value, said);
    if (number instanceof Double || number instanceof Float) {
      double real = number.doubleValue();
      if (Double.isInfinite(real) || real != Math.rint(real)) {
        throw new RequestException(said + " is " + value + ", which is no whole number");
      }
    }
    try {
      return new BigDecimal(number.toString()).longValueExact();
    } catch (ArithmeticException beyond) {
      throw new RequestException(said + " is " + value + ", which is beyond int64");
    }
  }

  private static Number number(Object value, String said) {
    if (!(value instanceof Number number)) {
      throw new RequestException(said + " is " + value + ", which is no number");
    }
    return number;
  }
}
