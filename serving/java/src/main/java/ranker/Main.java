package ranker;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.grpc.StatusRuntimeException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.exceptions.TensorFlowException;

/**
 * Ranks requests from standard input, a JSON object on each line: candidates, time_ms and, where
 * known, user, context and history. Prints a JSON object for each.
 */
public final class Main {
  private static final String USAGE =
      """
      usage: Main RANKER [--target HOST:PORT | --build-only]
        RANKER              directory of the ranker's SavedModel, a version's
        --target HOST:PORT  ask TensorFlow Serving over gRPC; without it, rank in this process
        --build-only        print the requests, in base64 as TensorFlow Serving's REST takes them
      """;

  private static final Gson JSON = new GsonBuilder().serializeSpecialFloatingPointValues().create();

  private Main() {}

  /** See the class. */
  public static void main(String[] arguments) throws IOException {
    boolean buildOnly = arguments.length == 2 && arguments[1].equals("--build-only");
    boolean remote = arguments.length == 3 && arguments[1].equals("--target");
    if (!(arguments.length == 1 || buildOnly || remote)) {
      System.err.print(USAGE);
      System.exit(2);
    }
    Path directory = Path.of(arguments[0]);
    RequestBuilder builder = new RequestBuilder(directory);
    // A service waits 200 ms at most; an example's first request may find a server that is cold.
    Ranker opened = null;
    if (!buildOnly) {
      opened = remote ? new GrpcRanker(arguments[2], 10_000) : new InProcessRanker(directory);
    }
    try (Ranker ranker = opened) {
      var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      var output = new PrintStream(System.out, true, StandardCharsets.UTF_8);
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        output.println(JSON.toJson(answer(builder, ranker, line)));
      }
    }
  }

  private static Map<String, Object> answer(RequestBuilder builder, Ranker ranker, String line) {
    Map<String, Object> answer = new LinkedHashMap<>();
    byte[] request;
    try {
      request = builder.build(parsed(line));
    } catch (RequestException refused) {
      answer.put("error", refused.getMessage());
      return answer;
    }
    if (ranker == null) {
      answer.put("request", Base64.getEncoder().encodeToString(request));
      return answer;
    }
    long start = System.nanoTime();
    Ranking ranking;
    try {
      ranking = ranker.rank(request);
    } catch (StatusRuntimeException | TensorFlowException failed) {
      answer.put("error", failed.getMessage());
      return answer;
    }
    answer.put("ms", Math.round((System.nanoTime() - start) / 1e4) / 100.0);
    answer.put("ranked_indices", ranking.rankedIndices());
    answer.put("scores", ranking.scores());
    answer.put("state_size", ranking.state().length);
    answer.put("history_left_out", ranking.historyLeftOut());
    return answer;
  }

  private static RankingRequest parsed(String line) {
    JsonObject request = JsonParser.parseString(line).getAsJsonObject();
    if (!(RequestField.plain(request.get("time_ms")) instanceof Long timeMs)) {
      throw new RequestException("time_ms is no whole number of ms");
    }
    return new RankingRequest(
        rows(request.get("candidates")),
        timeMs,
        row(request.get("user")),
        row(request.get("context")),
        rows(request.get("history")));
  }

  private static List<Map<String, Object>> rows(JsonElement json) {
    List<Map<String, Object>> rows = new ArrayList<>();
    if (json != null && !json.isJsonNull()) {
      ((JsonArray) json).forEach(element -> rows.add(row(element)));
    }
    return rows;
  }

  private static Map<String, Object> row(JsonElement json) {
    Map<String, Object> row = new LinkedHashMap<>();
    if (json != null && !json.isJsonNull()) {
      JsonObject columns = json.getAsJsonObject();
      columns.asMap().forEach((name, value) -> row.put(name, RequestField.plain(value)));
    }
    return row;
  }
}
