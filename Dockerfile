# The README's start command, its installation and its start apart; a test holds both against it. docs/hosting.md says
# how to run it.
FROM python:3.12-slim
RUN useradd --create-home --uid 1000 halluapp
USER halluapp
WORKDIR /home/halluapp/app
COPY --chown=halluapp . .
RUN python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 HALLUAPP_RUNS=/home/halluapp/runs
EXPOSE 7860
HEALTHCHECK --start-period=120s CMD [".venv/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/healthz', timeout=5)"]
CMD [".venv/bin/python", "app.py"]
