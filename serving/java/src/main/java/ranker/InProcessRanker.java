package ranker;

import java.nio.file.Path;
import java.util.Map;
import org.tensorflow.Result;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.SessionFunction;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.NdArrays;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TString;

/** A ranker in this process, with TensorFlow's own libraries and no server. */
public final class InProcessRanker implements Ranker {
  private final SavedModelBundle model;
  private final SessionFunction rank;

  /**
   * Loads the SavedModel; this takes seconds, and the first request is slow.
   *
   * @param ranker its directory, a version's
   */
  public InProcessRanker(Path ranker) {
    model = SavedModelBundle.load(ranker.toString(), "serve");
    rank = model.function("serving_default");
  }

  /**
   * See {@link Ranker#rank}.
   *
   * @throws org.tensorflow.exceptions.TFInvalidArgumentException if the request is at fault
   */
  @Override
  public Ranking rank(byte[] request) {
    try (TString input = TString.tensorOfBytes(NdArrays.scalarOfObject(request));
        Result outputs = rank.call(Map.of("request", input))) {
      return new Ranking(
          integers(outputs, "ranked_indices"),
          floats(outputs, "scores"),
          floats(outputs, "action"),
          floats(outputs, "state"),
          integers(outputs, "history_left_out")[0]);
    }
  }

  @Override
  public void close() {
    model.close();
  }

  private static float[] floats(Result outputs, String name) {
    TFloat32 tensor = (TFloat32) output(outputs, name);
    float[] values = new float[(int) tensor.size()];
    tensor.asRawTensor().data().asFloats().read(values);
    return values;
  }

  private static int[] integers(Result outputs, String name) {
    TInt32 tensor = (TInt32) output(outputs, name);
    int[] values = new int[(int) tensor.size()];
    tensor.asRawTensor().data().asInts().read(values);
    return values;
  }

  private static Tensor output(Result outputs, String name) {
    return outputs
        .get(name)
        .orElseThrow(() -> new IllegalStateException("the model is no ranker: no output " + name));
  }
}
