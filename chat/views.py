"""The pages: the chat, log-in and sign-up. What happens in the chat travels over its WebSocket."""

# mypy: disable-error-code="type-arg"
# Django's forms and views are generic only in their stubs.

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model, login
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, UserCreationForm, UsernameField
from django.contrib.auth.views import LoginView, RedirectURLMixin
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from . import allowances, appearance, conf, limits, modules, preferences, throttle
from .models import Membership
from .preferences import Preferred
from .users import display_name, username

WS_PATH = "/ws/"  # where the site mounts `routing`


@never_cache
@login_required
def chat(request: HttpRequest, room: str | None = None, seq: int | None = None) -> HttpResponse:
    """The chat, opened at a room, or at one message of it."""
    user = cast(AbstractBaseUser, request.user)  # login_required
    if room is not None:
        get_object_or_404(Membership, room=room, user=user.pk)
    preferred = preferences.of(user.pk)
    config = {
        "username": username(user),
        "name": display_name(user),
        "room": room,
        "seq": seq,
        "ws_path": WS_PATH,
        "login_url": resolve_url(settings.LOGIN_URL),
        "logout_url": reverse("logout"),
        "preferences": (preferred or Preferred())._asdict(),
        "remembered": {} if preferred else appearance.remembered(request),
    }
    context = {"config": config, "modules": modules.needed_by("chat/app.js")}
    return appearance.page(request, "chat/chat.html", context, preferred)


@never_cache
def console(request: HttpRequest) -> HttpResponse:
    """A WebSocket in the hand of a developer; also of one who is not logged in."""
    return render(request, "chat/console.html", {"ws_path": WS_PATH})


class Onward(RedirectURLMixin):
    """Sends whoever is in to `?next=`, but not back to this page: that would be a loop."""

    request: HttpRequest

    def get_success_url(self) -> str:
        url = super().get_success_url()
        return self.get_default_redirect_url() if url == self.request.path else url

    def get_default_redirect_url(self) -> str:
        return resolve_url(settings.LOGIN_REDIRECT_URL)


def throttled(log_in: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view of Django's LoginView that also tells for how long `Throttle` looks at nothing."""

    @wraps(log_in)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = log_in(request, *args, **kwargs)
        if isinstance(response, TemplateResponse) and (left := throttle.seconds_left(request)):
            return _put_off(response, left)
        return response

    return answer


def _put_off(page: TemplateResponse, seconds: float) -> TemplateResponse:
    """Let a page with a form say that it is to be sent again, but later."""
    form = cast(dict[str, Any], page.context_data)["form"]
    form.errors.clear()
    form.add_error(None, f"{gettext('That was tried too often.')} {again_in(math.ceil(seconds))}")
    page.status_code = 429
    page["Retry-After"] = str(math.ceil(seconds))
    return page


def again_in(seconds: int) -> str:
    """When something that was refused is worth another try, for a person."""
    minutes = math.ceil(seconds / 60)
    if seconds > 90:
        return ngettext("Try again in %d minute.", "Try again in %d minutes.", minutes) % minutes
    return ngettext("Try again in %d second.", "Try again in %d seconds.", seconds) % seconds


def focus_on(form: BaseForm, name: str) -> None:
    """Let a page begin at this field; what is wrong with it, or with all of them, is read there."""
    for field in form.fields.values():
        field.widget.attrs.pop("autofocus", None)
    attributes = form.fields[name].widget.attrs
    attributes["autofocus"] = True
    if form.non_field_errors():
        attributes |= {"aria-describedby": "form-error", "aria-invalid": "true"}


class LogIn(Onward, LoginView):
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """What is most likely wrong is the password: the name stays as it is."""
        focus_on(form, "username" if "username" in form.errors else "password")
        return super().form_invalid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(open_signup=conf.open_signup(), **kwargs)


class SignUpForm(UserCreationForm):
    class Meta:
        model = get_user_model()
        fields = (model.USERNAME_FIELD,)
        field_classes = {model.USERNAME_FIELD: UsernameField}


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class SignUp(Onward, FormView):
    """An account for a stranger, who is then logged in."""

    form_class = SignUpForm
    template_name = "registration/signup.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not conf.open_signup():
            raise Http404
        if request.user.is_authenticated:
            return redirect(self.get_success_url())
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(next=self.get_redirect_url(), **kwargs)

    def form_invalid(self, form: SignUpForm) -> HttpResponse:
        focus_on(form, next((name for name in form.errors if name in form.fields), "password1"))
        return super().form_invalid(form)

    def form_valid(self, form: SignUpForm) -> HttpResponse:
        sign_ups = allowances.sign_ups(allowances.visitor(self.request))
        if seconds := limits.of(self.request).take(*sign_ups):
            page = self.render_to_response(self.get_context_data(form=form))
            return _put_off(cast(TemplateResponse, page), seconds)
        form.save()
        # By the site's own backends: one of them may have a reason to let nobody in yet.
        user = authenticate(
            self.request,
            username=form.cleaned_data[get_user_model().USERNAME_FIELD],
            password=form.cleaned_data["password1"],
        )
        if user is None:
            return redirect(settings.LOGIN_URL)
        login(self.request, user)
        return redirect(self.get_success_url())
