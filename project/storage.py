"""Static files as production serves them: compressed, and named by their content."""

from collections.abc import Iterator
from typing import Any

from servestatic.compress import Compressor
from servestatic.storage import CompressedManifestStaticFilesStorage


class OurScriptsMinified(Compressor):  # type: ignore[misc]
    """Others publish their scripts as they are to be served.

    Nor are styles: rcssmin takes the descendants that `.a :is(.b)` chooses for `.a` itself.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._plain = Compressor(**options | {"minify": False})

    def compress(self, path: str) -> Iterator[str]:
        ours = "/chat/" in path and path.endswith(".js")
        compress = super().compress if ours else self._plain.compress
        return compress(path)  # type: ignore[no-any-return]


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    # JavaScript modules import each other by name: those names need the hashes too.
    support_js_module_import_aggregation = True

    def create_compressor(self, **options: Any) -> Compressor:
        return OurScriptsMinified(**options)
