# The lessons as an image: `docker compose run --rm lessons` builds it and runs them all.
FROM python:3.13-slim

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1

RUN useradd --uid 1000 --create-home course
WORKDIR /course

# The packages change rarely and take longest: a layer of their own, which depends on the pins only.
# The first pin, `-e .`, is the course itself and needs its files, so it waits for the last layer.
COPY requirements.txt .
RUN grep --invert-match '^-e' requirements.txt > /tmp/pins.txt \
    && pip install --requirement /tmp/pins.txt

COPY . .
RUN pip install --no-deps --editable . \
    && mkdir --parents .stack output \
    && chown course .stack output

USER 1000
CMD ["python", "-m", "course", "run"]
