"""MkDocs' hook: anchors are GitHub's; links out of docs/ lead to the repository, or are text where none is named."""

import os
import re
from typing import Any

from pymdownx.slugs import slugify

_OUT_OF_DOCS = re.compile(r"\[([^\]]+)\]\(\.\./([^)#\s]+)[^)\s]*\)")
_MODELS = '\n\n<a href="../dbt/">Every model and column, with its lineage</a>, by dbt.\n'


def on_config(config: Any) -> Any:
    config.repo_url = os.environ.get("SITE_REPOSITORY", "")
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    link = rf"[\1]({config.repo_url}/blob/main/\2)" if config.repo_url else r"\1"
    return _OUT_OF_DOCS.sub(link, markdown) + (_MODELS if page.file.src_uri == "models.md" else "")
