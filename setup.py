"""Sets the long description: README.md with absolute links, because relative ones do not work on a package index.

All other metadata is in setup.cfg.
"""

import configparser
import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent


def long_description() -> str:
    """Return README.md with each relative link leading to the file of this version in the source repository."""
    config = configparser.ConfigParser()
    config.read(HERE / "setup.cfg")
    urls = dict(line.split(" = ") for line in config["metadata"]["project_urls"].strip().splitlines())
    version = re.search(r'__version__ = "(.+)"', (HERE / "altegio_provider" / "__init__.py").read_text())[1]
    base = f"{urls['Source']}/blob/v{version}/"
    return re.sub(r"\]\((?!https?://|#)([^)\s]+)\)", rf"]({base}\1)", (HERE / "README.md").read_text())


setup(long_description=long_description())
