package ranker;

import com.google.protobuf.ByteString;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import ranker.proto.DataType;
import ranker.proto.ModelSpec;
import ranker.proto.PredictRequest;
import ranker.proto.PredictionServiceGrpc;
import ranker.proto.TensorProto;
import ranker.proto.TensorShapeProto;
import ranker.proto.TensorShapeProto.Dim;

/** A ranker in TensorFlow Serving, over one gRPC channel that all threads share. */
public final class GrpcRanker implements Ranker {
  /** gRPC's own limit of 4 MB is about 10,000 candidates. */
  private static final int LARGEST_MESSAGE = 64 << 20;

  private final ManagedChannel channel;
  private final ModelSpec model;
  private final long timeoutMs;

  /**
   * Opens a channel; nothing is sent yet.
   *
   * @param target "host:port", usually port 8500
   * @param timeoutMs to wait for an answer; a service ranks without the model after that
   */
  public GrpcRanker(String target, long timeoutMs) {
    // Within a network that is trusted: see docs/security.md.
    channel =
        Grpc.newChannelBuilder(target, InsecureChannelCredentials.create())
            .maxInboundMessageSize(LARGEST_MESSAGE)
            .build();
    model = ModelSpec.newBuilder().setName("ranker").setSignatureName("serving_default").build();
    this.timeoutMs = timeoutMs;
  }

  /**
   * See {@link Ranker#rank}.
   *
   * @throws io.grpc.StatusRuntimeException INVALID_ARGUMENT: the request is at fault and must not
   *     be sent again; UNAVAILABLE and DEADLINE_EXCEEDED: it may be
   */
  @Override
  public Ranking rank(byte[] request) {
    TensorProto input =
        TensorProto.newBuilder()
            .setDtype(DataType.DT_STRING)
            .setTensorShape(TensorShapeProto.getDefaultInstance())
            .addStringVal(ByteString.copyFrom(request))
            .build();
    Map<String, TensorProto> outputs =
        PredictionServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(timeoutMs, TimeUnit.MILLISECONDS)
            .predict(
                PredictRequest.newBuilder().setModelSpec(model).putInputs("request", input).build())
            .getOutputsMap();
    return new Ranking(
        integers(outputs, "ranked_indices"),
        floats(outputs, "scores"),
        floats(outputs, "action"),
        floats(outputs, "state"),
        integers(outputs, "history_left_out")[0]);
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  private static float[] floats(Map<String, TensorProto> outputs, String name) {
    TensorProto tensor = output(outputs, name, DataType.DT_FLOAT);
    float[] values = new float[size(tensor)];
    if (!tensor.getTensorContent().isEmpty()) {
      content(tensor).asFloatBuffer().get(values);
    } else {
      int last = tensor.getFloatValCount() - 1;
      for (int place = 0; place < values.length && last >= 0; place++) {
        values[place] = tensor.getFloatVal(Math.min(place, last));
      }
    }
    return values;
  }

  private static int[] integers(Map<String, TensorProto> outputs, String name) {
    TensorProto tensor = output(outputs, name, DataType.DT_INT32);
    int[] values = new int[size(tensor)];
    if (!tensor.getTensorContent().isEmpty()) {
      content(tensor).asIntBuffer().get(values);
    } else {
      int last = tensor.getIntValCount() - 1;
      for (int place = 0; place < values.length && last >= 0; place++) {
        values[place] = tensor.getIntVal(Math.min(place, last));
      }
    }
    return values;
  }

  private static TensorProto output(Map<String, TensorProto> all, String name, DataType type) {
    TensorProto found = all.get(name);
    if (found == null || found.getDtype() != type) {
      throw new IllegalStateException("the served model is no ranker: output " + name + " lacks");
    }
    return found;
  }

  private static int size(TensorProto tensor) {
    long size = 1;
    for (Dim dim : tensor.getTensorShape().getDimList()) {
      size = Math.multiplyExact(size, dim.getSize());
    }
    return Math.toIntExact(size);
  }

  private static ByteBuffer content(TensorProto tensor) {
    return tensor.getTensorContent().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }
}
