# One image for web, worker and the command line. Build arguments for pip, such as an index with CPU-only
# builds of torch, go in PIP_ARGS; without them pip takes the platform's default build of torch.
FROM python:3.11-slim AS build
ARG PIP_ARGS=""
WORKDIR /build
COPY . .
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /wheels
RUN python -m venv /opt/prodrome \
    && /opt/prodrome/bin/pip install --no-cache-dir $PIP_ARGS --constraint constraints.txt torch \
    && /opt/prodrome/bin/pip install --no-cache-dir $PIP_ARGS --constraint constraints.txt /wheels/*.whl

FROM python:3.11-slim
ENV PATH=/opt/prodrome/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
COPY --from=build /opt/prodrome /opt/prodrome
RUN useradd --create-home prodrome
USER prodrome
WORKDIR /home/prodrome
RUN python -m models.warm
ENTRYPOINT ["prodrome"]
CMD ["--help"]
