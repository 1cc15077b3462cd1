"""What it means that a connection failed, in plain words and without the token.

The errors of requests and urllib3 hold the URL with the token, Python's tuples, and at times what
was read, which may be records.
"""

from __future__ import annotations

from http.client import BadStatusLine
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError
from urllib3.exceptions import InvalidChunkLength, ReadTimeoutError

from tap_calltouch.api.errors import HeavyAnswerError, quote_message

if TYPE_CHECKING:
    from tap_calltouch.config.typed import Settings

_QUOTING = (BadStatusLine, InvalidChunkLength)
_TUNNEL = "Tunnel connection failed: "


def sending_error(error: Exception, settings: Settings) -> Exception:
    """Build the exception for a request that was not answered."""
    reason = _reason(error, settings)
    kind: type[Exception] = FatalAPIError
    if isinstance(error, requests.ReadTimeout):
        kind = HeavyAnswerError
        msg = f"the API did not answer within {settings.request_timeout} s."
    elif _TUNNEL in reason:
        answer = reason.partition(_TUNNEL)[2]
        msg = f"{name_proxy(settings)} answered {answer}. Check `HTTPS_PROXY`."
    elif isinstance(error, requests.exceptions.ProxyError):
        kind = RetriableAPIError
        msg = f"the connection to {name_proxy(settings)} failed ({reason})."
    elif isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE" in reason:
        msg = f"the certificate is not trusted ({reason}); check `REQUESTS_CA_BUNDLE`."
    elif isinstance(error, requests.exceptions.SSLError):
        msg = f"the tap and the server have no TLS version in common ({reason}); check `api_url`."
    elif isinstance(error, requests.exceptions.InvalidSchema):
        msg = "a SOCKS proxy needs the library PySocks."
    # TypeError for a proxy with a user but without a host, ValueError for an address that cannot
    # be encoded, or for that of a redirect, which requests reads even if it does not follow.
    elif isinstance(error, (requests.exceptions.InvalidURL, TypeError, ValueError)):
        msg = (
            "the address of the API, of the proxy or of a redirect is malformed; check `api_url` "
            "and `HTTPS_PROXY`."
        )
    elif isinstance(error, requests.RequestException):
        kind = RetriableAPIError
        msg = f"the connection failed ({reason})."
    else:
        msg = f"{error}. Check `REQUESTS_CA_BUNDLE` and `CURL_CA_BUNDLE`."
    return kind(msg)


def receiving_error(error: requests.RequestException, settings: Settings) -> Exception:
    """Build the exception for an answer that did not arrive whole."""
    cause = error.args[0] if error.args else error
    if isinstance(cause, ReadTimeoutError):
        msg = (
            f"the answer stalled: less than 1 KB a second arrived for {settings.request_timeout} s."
        )
        return HeavyAnswerError(msg)
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return RetriableAPIError("the answer cannot be unpacked as its header says.")
    return HeavyAnswerError(f"the connection failed ({_reason(error, settings)}).")


def name_proxy(settings: Settings) -> str:
    """Return the proxy with its host and port, but without its user and password."""
    proxy = select_proxy(settings.api_url, get_environ_proxies(settings.api_url)) or ""
    parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return f"the proxy {parts.netloc.rpartition('@')[2]}".rstrip()


def _reason(error: Exception, settings: Settings) -> str:
    cause = error.args[0] if error.args else error
    for part in getattr(cause, "args", ()):
        if isinstance(part, _QUOTING):
            return type(part).__name__
    cause = getattr(cause, "reason", cause)
    # Of ('Connection aborted.', OSError(...)), the words.
    texts = [part for part in getattr(cause, "args", ()) if isinstance(part, str)]
    causes = [part for part in getattr(cause, "args", ()) if isinstance(part, Exception)]
    text = ": ".join([*texts, *(str(part) for part in causes)]) if causes else str(cause)
    return quote_message(text or type(cause).__name__, settings.api_token)
