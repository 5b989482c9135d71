"""Static files as production serves them: compressed, and named by their content."""

from servestatic.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    # JavaScript modules import each other by name: those names need the hashes too.
    support_js_module_import_aggregation = True
