"""The site's settings, for a production whose static files lie where the environment says."""

import os

from project.settings import *  # noqa: F403

STATIC_ROOT = os.environ["STATIC_ROOT"]
