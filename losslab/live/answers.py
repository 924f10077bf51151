"""What every answer to a browser says of itself."""

from starlette.responses import Response


def answer(response: Response) -> Response:
    """Nobody else's page may embed it, no browser guesses its type, and what changes is not kept."""
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["cross-origin-resource-policy"] = "same-origin"
    response.headers.setdefault("cache-control", "no-store")
    return response
