"""Starts the app: `python app.py`. A Hugging Face Space runs this file."""

from halluapp.settings import Settings
from halluapp.ui.app import serve

if __name__ == "__main__":
    serve(Settings.from_environment())
