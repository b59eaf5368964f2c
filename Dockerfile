# syntax=docker/dockerfile:1
#
# The pipeline image: what Beam workers, Kubeflow and Vertex AI run.
#   docker build -t mtfx .
#   docker build -t mtfx:gpu --build-arg DEVICE=gpu .
#
# The GPU image is the same Debian with TensorFlow's own CUDA wheels (the and-cuda extra) rather
# than an NVIDIA CUDA base: the wheels are the very versions TensorFlow was built against, the two
# images differ in nothing else, and the host needs only its driver and the container toolkit.
# The price is the same in size: CUDA and cuDNN take about 4 GB either way.
ARG DEVICE=cpu

# The modern lane of dependencies (docs/install.md): Debian 13 has the glibc that TFX's wheels need.
FROM python:3.13-slim-trixie AS base
ENV PYTHONUNBUFFERED=1 \
    PATH=/opt/mtfx/.venv/bin:$PATH

FROM base AS build
WORKDIR /opt/mtfx
# TensorFlow Data Validation needs pyfarmhash, which has no wheel for Python 3.13. No version is
# named: Debian keeps only the latest of a release, and the build stage is thrown away.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends g++ && \
    rm -rf /var/lib/apt/lists/*
# pip's own mirror settings (PIP_INDEX_URL, a pip.conf secret) apply here as everywhere.
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_LINK_MODE=copy \
    UV_PYTHON=3.13 \
    UV_PYTHON_DOWNLOADS=never
# Dependencies in a layer of their own, which an edit of the source leaves alone.
COPY pyproject.toml uv.lock .python-version README.md LICENSE ./
RUN uv sync --locked --no-dev --no-install-project
COPY agents agents
COPY cli cli
COPY components components
COPY datasets datasets
COPY environments environments
COPY evaluation evaluation
COPY experiments experiments
COPY models models
COPY pipelines pipelines
COPY serving serving
COPY trainers trainers
COPY src src

FROM build AS build-cpu
RUN uv sync --locked --no-dev --no-editable

FROM build AS build-gpu
RUN uv sync --locked --no-dev --no-editable --extra gpu

# hadolint ignore=DL3006
FROM build-${DEVICE} AS built

FROM base AS runtime
LABEL org.opencontainers.image.title="MTFX" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 1000 mtfx && useradd --uid 1000 --gid mtfx --create-home mtfx
COPY --from=built --chown=root:root /opt/mtfx/.venv /opt/mtfx/.venv
# TensorFlow does not find every one of its CUDA wheels by itself (tensorflow#63362). The
# directories do not exist in the CPU image, where this changes nothing.
ENV NVIDIA=/opt/mtfx/.venv/lib/python3.13/site-packages/nvidia
ENV LD_LIBRARY_PATH=$NVIDIA/cublas/lib:\
$NVIDIA/cuda_cupti/lib:\
$NVIDIA/cuda_nvrtc/lib:\
$NVIDIA/cuda_runtime/lib:\
$NVIDIA/cudnn/lib:\
$NVIDIA/cufft/lib:\
$NVIDIA/curand/lib:\
$NVIDIA/cusolver/lib:\
$NVIDIA/cusparse/lib:\
$NVIDIA/nccl/lib:\
$NVIDIA/nvjitlink/lib
USER 1000:1000
WORKDIR /home/mtfx
ENTRYPOINT ["mtfx"]
CMD ["--help"]
