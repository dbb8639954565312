"""A company's site that is not ours: Django with its own log-in, hashers, sessions and password reset.

Usage: python site.py migrate
       python site.py users N [--own K] [--pbkdf2 K] [--bcrypt K] [--unusable K] [--sessions K]
       python site.py judge
       python site.py serve

DATABASE is where it keeps its tables: `sqlite:FILE` or `postgres://USER@HOST:PORT/NAME`, the latter with
PASSWORD_FILE where the user has a password. MAILS is a folder for what its password reset sends; without
it that goes nowhere.

`users` makes u1 to uN and prints a line for each, with tabs between: login, address, kind of hash,
password (`-` for none), session (`-` for none). The first `--own` have passwords of their own; then come
those who share one, because a real hash takes a tenth of a second; last those of other kinds, in the order
of the options. `--sessions` logs in the first K.

`judge` makes the tables and answers each line of stdin with one, until stdin ends; a line is a question and
its parts with tabs between. Its hashes cost next to nothing, for their cost is not what is judged:

  person        login, kind of hash, password   made; their session
  choose        login, password                 theirs from now on: yes
  authenticate  login, password                 yes or no
  session       session                         the login whose it is, or no

`serve` takes PORT, 0 for one of its own choice, prints the port once it listens, and ends when its stdin ends.
"""

import argparse
import os
import sys
import threading
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse_lazy


def database():
    place = urlsplit(os.environ["DATABASE"])
    if place.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": place.path, "OPTIONS": {"timeout": 20}}
    secret = os.environ.get("PASSWORD_FILE")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": place.hostname,
        "PORT": place.port,
        "NAME": place.path.lstrip("/"),
        "USER": place.username,
        "PASSWORD": Path(secret).read_text().rstrip("\n") if secret else "",
    }


PAGE = """<!doctype html><html lang="en"><title>Shop</title><main><h1>{{ title|default:"Log in" }}</h1>
{% block words %}{% endblock %}{% if form %}<form method="post">{% csrf_token %}{{ form.as_p }}
<button>Continue</button></form>{% endif %}</main></html>"""
MAIL = "{{ protocol }}://{{ domain }}{% url 'password_reset_confirm' uidb64=uid token=token %}\n"


def page(words):
    return '{% extends "page.html" %}{% block words %}' + words + "{% endblock %}"


TEMPLATES = {
    "page.html": PAGE,
    "account.html": page("<p>Signed in as {{ user.get_username }}</p>"),
    "sent.html": page("<p>If we know this address, a mail is on its way.</p>"),
    "set.html": page("{% if not validlink %}<p>This link does not work.</p>{% endif %}"),
    "done.html": page("<p>Your password is set.</p>"),
    "mail.txt": MAIL,
    "subject.txt": "Your password",
}

settings.configure(
    # Always the same, so that a session outlives the server as it does on a real site.
    SECRET_KEY="known to everybody who reads this test",
    DEBUG=False,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": database()},
    INSTALLED_APPS=[f"django.contrib.{app}" for app in ("contenttypes", "auth", "sessions")],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [("django.template.loaders.locmem.Loader", TEMPLATES)],
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                ],
            },
        }
    ],
    PASSWORD_HASHERS=[
        f"django.contrib.auth.hashers.{name}"
        for name in (
            "Argon2PasswordHasher",
            "PBKDF2PasswordHasher",
            "PBKDF2SHA1PasswordHasher",
            "BCryptSHA256PasswordHasher",
            "ScryptPasswordHasher",
        )
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.db",
    LANGUAGE_CODE="en",
    USE_TZ=True,
    LOGIN_URL="/login",
    LOGIN_REDIRECT_URL="/account",
    LOGOUT_REDIRECT_URL="/login",
    DEFAULT_FROM_EMAIL="shop@shop.example",
    EMAIL_BACKEND="django.core.mail.backends.%s.EmailBackend"
    % ("filebased" if "MAILS" in os.environ else "dummy"),
    EMAIL_FILE_PATH=os.environ.get("MAILS"),
    # Neither addresses nor the links of mails belong in a log.
    LOGGING_CONFIG=None,
)
django.setup()

# Only now: these need the settings.
from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY  # noqa: E402
from django.contrib.auth import authenticate, get_user, get_user_model, views  # noqa: E402
from django.contrib.auth.decorators import login_required  # noqa: E402
from django.contrib.auth.hashers import get_hashers, make_password  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.shortcuts import render  # noqa: E402


@login_required
def account(request):
    return render(request, "account.html", {"title": "Account"})


def step(view, template, **more):
    return view.as_view(template_name=template, **more)


urlpatterns = [
    path("", lambda request: HttpResponse("shop")),
    path("login", views.LoginView.as_view(template_name="page.html"), name="login"),
    path("logout", views.LogoutView.as_view(), name="logout"),
    path("account", account, name="account"),
    path(
        "password_reset",
        step(
            views.PasswordResetView,
            "page.html",
            email_template_name="mail.txt",
            subject_template_name="subject.txt",
            success_url=reverse_lazy("password_reset_done"),
        ),
        name="password_reset",
    ),
    path("password_reset/sent", step(views.PasswordResetDoneView, "sent.html"), name="password_reset_done"),
    path(
        "reset/<uidb64>/<token>",
        step(views.PasswordResetConfirmView, "set.html"),
        name="password_reset_confirm",
    ),
    path("reset/done", step(views.PasswordResetCompleteView, "done.html"), name="password_reset_complete"),
]


def users(asked):
    others = [("pbkdf2_sha256", asked.pbkdf2), ("bcrypt_sha256", asked.bcrypt), ("unusable", asked.unusable)]
    kinds = ["argon2"] * (asked.count - sum(count for _, count in others))
    kinds += [kind for kind, count in others for _ in range(count)]
    shared = make_password("old-password-shared") if kinds.count("argon2") > asked.own else None
    made, told = [], []
    for number, kind in enumerate(kinds, 1):
        login, password = f"u{number}", f"old-password-u{number}"
        if kind == "unusable":
            password, stored = "-", make_password(None)
        elif kind == "argon2" and number > asked.own:
            password, stored = "old-password-shared", shared
        else:
            stored = make_password(password, hasher=kind)
        made.append(get_user_model()(username=login, email=f"{login}@mail.example", password=stored))
        told.append([login, made[-1].email, kind, password])
    made = get_user_model().objects.bulk_create(made, batch_size=500)
    for number, (user, line) in enumerate(zip(made, told)):
        print(*line, session(user) if number < asked.sessions else "-", sep="\t")


def sessions(key=None):
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def session(user):
    """What a log-in leaves in the table, without a password."""
    store = sessions()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return store.session_key


def person(login, kind, password):
    stored = make_password(None) if kind == "unusable" else make_password(password, hasher=kind)
    return session(get_user_model().objects.create(username=login, password=stored))


def choose(login, password):
    user = get_user_model().objects.get_by_natural_key(login)
    user.set_password(password)
    user.save(update_fields=["password"])
    return "yes"


def lets_in(login, password):
    return "yes" if authenticate(username=login, password=password) else "no"


def whose(key):
    request = HttpRequest()
    request.session = sessions(key)
    return get_user(request).get_username() or "no"


CHEAP = {
    "argon2": {"time_cost": 1, "memory_cost": 64, "parallelism": 1},
    "pbkdf2_sha256": {"iterations": 1000},
    "bcrypt_sha256": {"rounds": 4},
}


def judge():
    for hasher in get_hashers():
        vars(hasher).update(CHEAP.get(hasher.algorithm, {}))
    call_command("migrate", verbosity=0)
    questions = {"person": person, "choose": choose, "authenticate": lets_in, "session": whose}
    for line in sys.stdin:
        question, *parts = line.rstrip("\n").split("\t")
        print(questions[question](*parts), flush=True)


class Quiet(WSGIRequestHandler):
    """Logs nothing: paths hold the secrets of links."""

    def log_message(self, *words):
        pass


def serve():
    server = ThreadedWSGIServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Quiet)
    server.set_app(get_wsgi_application())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.buffer.read()


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("migrate", "judge", "serve"):
        commands.add_parser(name)
    wanted = commands.add_parser("users")
    wanted.add_argument("count", type=int)
    wanted.add_argument("--own", type=int, default=10)
    for name in ("pbkdf2", "bcrypt", "unusable", "sessions"):
        wanted.add_argument(f"--{name}", type=int, default=0)
    asked = parser.parse_args()
    if asked.command == "migrate":
        call_command("migrate", verbosity=0)
    elif asked.command == "users":
        users(asked)
    elif asked.command == "judge":
        judge()
    else:
        serve()


if __name__ == "__main__":
    main()
