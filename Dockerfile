# syntax=docker/dockerfile:1
# docker build -t embedseg-ops .                             for the CPU
# docker build -t embedseg-ops --build-arg KERNELS=cuda .    for every GPU of compute capability 8.0 and above
# docker run --rm -v "$PWD:/data" [--gpus all] embedseg-ops predict images --out labels
#
# TORCH_INDEX: another index to take torch from, such as PyTorch's own of CPU builds, which are smaller.
ARG KERNELS=cpu

FROM python:3.13-slim AS build-cpu
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
ENV CUDA_ARGUMENTS="-C cmake.define.EMBEDSEG_CUDA=OFF"

FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS build-cuda
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /venv
ENV PATH=/venv/bin:$PATH
ENV CUDA_ARGUMENTS="-C cmake.define.EMBEDSEG_CUDA=ON -C cmake.define.EMBEDSEG_CUDA_ARCHITECTURES=RELEASE"

FROM build-${KERNELS} AS build
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.10"
RUN pip install --no-cache-dir scikit-build-core cmake ninja
COPY . /source
# One wheel serves every Python, so this need not be the Python that runs it.
RUN pip wheel --no-build-isolation --no-deps $CUDA_ARGUMENTS --wheel-dir /wheel /source

FROM python:3.13-slim
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.10"
RUN --mount=from=build,source=/wheel,target=/wheel pip install --no-cache-dir /wheel/*.whl
WORKDIR /data
ENTRYPOINT ["embedseg-ops"]
CMD ["--help"]
