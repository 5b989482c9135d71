"""Static files as production serves them: small, compressed, and named by their content."""

import re
from typing import Any

from django.core.files.base import ContentFile
from rjsmin import jsmin  # type: ignore[import-untyped]
from servestatic.storage import CompressedManifestStaticFilesStorage


def smaller_style(text: str) -> str:
    """Without comments and indentation; nothing else, for spaces have a meaning in selectors."""
    return re.sub(r"\n\s+", "\n", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).lstrip()


SMALLER = {"js": jsmin, "css": smaller_style}


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    # JavaScript modules import each other by name: those names need the hashes too.
    support_js_module_import_aggregation = True
    max_post_process_passes = 20  # one for each step from module to module

    def _save(self, name: str, content: Any) -> str:
        """Leave at home what only readers of our source need; others publish as they like."""
        kind = name.rpartition(".")[2]
        if name.startswith("chat/") and "/vendor/" not in name and kind in SMALLER:
            text = b"".join(content.chunks()).decode()  # from its beginning, wherever it was left
            content = ContentFile(SMALLER[kind](text).encode())
        saved: str = super()._save(name, content)
        return saved
