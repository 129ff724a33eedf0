"""The product's addresses, and the bare view beside which decisions are measured."""

from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def bare(request: HttpRequest) -> JsonResponse:
    """Reads the body and answers."""
    return JsonResponse({"decision": bool(request.body)})


urlpatterns = [path("access/v1/bare", bare), path("", include("broker.urls"))]
