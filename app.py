"""Starts the app: `python app.py`. A Hugging Face Space runs this file."""

from halluapp.settings import Settings
from halluapp.ui.app import build, launch_options


def main() -> None:
    settings = Settings.from_environment()
    build(settings).queue(max_size=32).launch(**launch_options(settings))


if __name__ == "__main__":
    main()
