# hashbench on a processor: docker build -t hashbench . && docker run --name first hashbench run
# Its results: docker cp first:/home/hashbench/runs .
FROM python:3.12-slim

# libgomp: faiss and torch count on it. A user of its own: plugins are programs.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home hashbench

# A build for processors only is enough, and a tenth of the size: hand pip the index that PyTorch's own pages name for
# it, docker build --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL
COPY . /src
RUN pip install --no-cache-dir "/src[faiss,hdf5]" && rm -rf /src

USER hashbench
WORKDIR /home/hashbench
ENV HASHBENCH_CACHE=/home/hashbench/cache
ENTRYPOINT ["hashbench"]
CMD ["--help"]
