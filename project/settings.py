"""Django settings. Everything that differs between machines comes from the environment."""

import sys
from pathlib import Path

from csp.constants import NONE, SELF

from . import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.switch("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY", default="insecure-development-key" if DEBUG else "")
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
if not SECRET_KEY:
    sys.exit("Set SECRET_KEY in the environment, or DEBUG=1 to develop.")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "daphne",
    "servestatic.runserver_nostatic",
    "project.panel.PanelConfig",  # Django's admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "ninja",
    "chat",
    "project",  # for `manage.py serve`
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "project.middleware.StaticFiles",
    # Before whatever answers by itself: its pages of refusal are pages too.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "project.middleware.NoNul",
    "project.middleware.Outage",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "chat.appearance.theme",
            ],
        },
    },
]

DATABASES = {"default": env.database("DATABASE_URL", default=BASE_DIR / "db.sqlite3")}
database = DATABASES["default"]
if database["ENGINE"] == "django.db.backends.sqlite3":
    # WAL: readers never wait for the writer. IMMEDIATE: a transaction that will write says so at
    # once, instead of failing half-way. FULL: what we acknowledge is on disk.
    database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
    }
else:
    # Whatever hangs is given up before a client gives us up: a query, a lock, a transaction whose
    # worker was stopped, and on Linux a network that swallows everything. DATABASE_URL?… may say
    # otherwise, for example ?options=-cstatement_timeout%3D0 to migrate a large table. PgBouncer in
    # transaction mode wants ?disable_server_side_cursors=true, its own ignore_startup_parameters =
    # options, and these three timeouts set by ALTER ROLE.
    # The pool is for pages. The chat's threads (per worker: journal 1, its side 4, readers 4, watch
    # 2) have connections of their own, see chat/database.py: pages can neither take nor delay them.
    # So a worker has at most 11 + max_size connections.
    database["OPTIONS"] = {
        # Not to grow back in ever longer intervals after an outage, but whenever it is asked.
        "pool": {"min_size": 0, "max_size": 8, "timeout": 5, "reconnect_timeout": 0},
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": 9_000,
        "options": "-c statement_timeout=10s -c lock_timeout=3s"
        " -c idle_in_transaction_session_timeout=10s",
        **database.get("OPTIONS", {}),
    }
    database.setdefault("CONN_HEALTH_CHECKS", True)  # so that no page is given a dead one
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if REDIS_URL := env.redis_url("REDIS_URL"):
    redis = {
        "address": REDIS_URL,
        "socket_connect_timeout": 2,
        "socket_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {
                "hosts": [redis],
                # The first encrypts, all decrypt: so whoever writes to Redis cannot speak for us.
                "symmetric_encryption_keys": env.words("CHANNEL_KEYS"),
            },
        }
    }
else:
    # One process. There is one channel per worker; its capacity counts batches, not messages.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"capacity": 10_000},
        }
    }

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "chat"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = [
    "chat.throttle.Throttle",
    "django.contrib.auth.backends.ModelBackend" if DEBUG else "project.backends.NoDemoUsers",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.switch("SECURE_COOKIES", default=not DEBUG)
# Redirects to HTTPS, and the promise to stay there, are up to the proxy that ends TLS.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "chat" / "locale"]  # before Django's words for the same
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600  # seconds
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = SESSION_COOKIE_SECURE
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
if not DEBUG:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "project.storage.HashedFiles"},
    }

LOG_FORMAT = env.one_of("LOG_FORMAT", ("text", "json"), default="text")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "project.logs.formatter",
            "kind": LOG_FORMAT,
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # a traceback for every scanner
        "django": {},  # without Django's own handlers, which would say it all twice
        "daphne": {"level": "WARNING"},  # how it starts says nothing that helps an operator
        "channels_redis": {"level": "CRITICAL"},  # a traceback a second; chat.layer says it once
    },
    "root": {
        "handlers": ["console"],
        "level": env.one_of("LOG_LEVEL", LOG_LEVELS, default="INFO"),
    },
}

# The server's own, for `manage.py serve`; docs/settings.md says what they mean.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
WEBSOCKET_MESSAGE_BYTES = env.whole("WEBSOCKET_MESSAGE_BYTES", default=1_048_576, least=65_536)
WEBSOCKET_FRAME_BYTES = env.whole("WEBSOCKET_FRAME_BYTES", default=1_048_576, least=65_536)
MAX_CONNECTIONS = env.whole("MAX_CONNECTIONS", default=0, least=0)
MAX_CONNECTIONS_PER_ADDRESS = env.whole("MAX_CONNECTIONS_PER_ADDRESS", default=500, least=0)
DRAIN_SECONDS = env.drain_seconds()

# The chat's own; docs/settings.md says what they mean.
CHAT_POST_RATE = env.number("CHAT_POST_RATE", default=10)
CHAT_PEOPLE_PER_ADDRESS = env.whole("CHAT_PEOPLE_PER_ADDRESS", default=10, least=0)
CHAT_HEARTBEAT = env.number("CHAT_HEARTBEAT", default=15)
CHAT_KEEP_DAYS = env.whole("CHAT_KEEP_DAYS", default=0, least=0)
CHAT_OPEN_SIGNUP = env.switch("CHAT_OPEN_SIGNUP", default=True)
CHAT_ALLOWED_ORIGINS = env.words("CHAT_ALLOWED_ORIGINS")
CHAT_METRICS_FROM = env.networks("CHAT_METRICS_FROM")
CHAT_RELEASE = env.text("CHAT_RELEASE")
CHAT_WORKERS = env.whole("CHAT_WORKERS", default=1)
CHAT_MACHINES = env.whole("CHAT_MACHINES", default=1)
