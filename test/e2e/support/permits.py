"""What clients show: signed URLs and tokens, as those who give them out make them."""

import base64
import hashlib
import hmac
import json
import subprocess
import time

SECRET = "the operator's own secret"
KEY = b"0123456789abcdef0123456789abcdef"


def signed(name, action="play", seconds=600, secret=SECRET):
    """The arguments of a URL that is signed for a stream."""
    expires = int(time.time()) + seconds
    text = f"{action} {name}?expires={expires}"
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", secret], input=text.encode(), capture_output=True, check=True
    )
    return f"expires={expires}&sig={digest.stdout.decode().split('= ')[1].strip()}"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(key=KEY, kid="a", **claims):
    """A JSON Web Token of an issuer who has the secret."""
    head = {"alg": "HS256", "kid": kid}
    body = {"exp": int(time.time()) + 600, **claims}
    text = ".".join(base64url(json.dumps(part).encode()) for part in (head, body))
    return f"{text}.{base64url(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def key_set(**secrets):
    """The text of a JSON Web Key Set with a secret for each key id."""
    return json.dumps({"keys": [{"kty": "oct", "kid": kid, "k": base64url(key)} for kid, key in secrets.items()]})
