"""One address for each peer. All answer 200 without a body to a known token."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from knox.auth import TokenAuthentication as KnoxAuthentication
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from rest_framework.authentication import TokenAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_api_key.permissions import HasAPIKey
from rest_framework_simplejwt.authentication import JWTAuthentication


def floor(_request: HttpRequest) -> HttpResponse:
    """Django, and nothing else."""
    return HttpResponse()


class Answer(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, _request: Request) -> Response:
        return Response()


def known_by(authentication: Any) -> Any:
    return Answer.as_view(authentication_classes=[authentication])


urlpatterns = [
    path("floor", floor),
    path("drf", Answer.as_view(permission_classes=[AllowAny])),
    path("drf-token", known_by(TokenAuthentication)),
    path("knox", known_by(KnoxAuthentication)),
    path("api-key", Answer.as_view(permission_classes=[HasAPIKey])),
    path("oauth2", known_by(OAuth2Authentication)),
    path("simplejwt", known_by(JWTAuthentication)),
]
