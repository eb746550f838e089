"""A wheel carries `assets/` inside the package, where `halluapp.settings` looks first. The rest: pyproject.toml."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithAssets(build_py):
    """Copies `assets/` of the checkout to `halluapp/assets` of the build; an editable install reads the checkout."""

    def run(self):
        super().run()
        if not self.editable_mode:
            copytree("assets", Path(self.build_lib) / "halluapp" / "assets", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithAssets})
